import ArgumentParser
import Diagnostics
import Routing
import Settings

/// What the commands that look into a router have in common.
struct RouterSubject: ParsableArguments {
    @Argument(
        help: ArgumentHelp("A router of the bank, or a router's folder.", valueName: "router"), completion: .directory)
    var router: String
    @Option(help: ArgumentHelp("Take samples of this suite instead of that of the training.", valueName: "file"))
    var suite: String?
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key below 'routing'. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(
        name: .customLong("suite-set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the suite. Repeatable.", valueName: "key=value"))
    var suiteSettings: [String] = []
    @Flag(name: .customLong("allow-unapproved"), help: "Use pending adapters under the policy strict (recorded).")
    var allowUnapproved = false

    func work(_ session: Session) throws -> RouterTraceWork {
        let work = RouterWork(session: session, allowUnapproved: allowUnapproved)
        let opened = try work.open(
            router, suite: suite, overrides: settings.map { try SettingOverride($0) },
            suiteOverrides: suiteSettings.map { try SettingOverride($0) })
        return RouterTraceWork(session: session, opened: opened, allowUnapproved: allowUnapproved)
    }
}

struct RouterTraceCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Write down every decision of a router, sealed.",
        discussion: """
            One header line, one line per sample, token and router, one line per sample, one summary with the digest of \
            all lines before it. `router replay` makes the trace again and compares.
            """)
    static let examples = [
        "lorabank router trace runs/clinc150 --to trace.jsonl --first 20",
        "lorabank router trace runs/clinc150 --to trace.jsonl --aggregate sample --html trace.html",
    ]

    @OptionGroup var subject: RouterSubject
    @Option(help: ArgumentHelp("The trace to write.", valueName: "file"), completion: .file())
    var to: String
    @Option(help: ArgumentHelp("Places in the suite's split: 0,5,12-20.", valueName: "list"))
    var samples: String?
    @Option(help: ArgumentHelp("The first so many samples. (default: all)", valueName: "n"))
    var first: Int?
    @Option(help: ArgumentHelp("Tokens per sample: all, or the first so many.", valueName: "n"))
    var tokens = "all"
    @Option(help: ArgumentHelp("Comma-separated ids of routers to record. (default: all)", valueName: "ids"))
    var sites: String?
    @Option(help: ArgumentHelp("none, sample or task: leave finer records out.", valueName: "level"))
    var aggregate = "none"
    @Flag(help: "Record the probabilities of all experts.")
    var probabilities = false
    @Option(help: ArgumentHelp("Draw the heat maps into this page.", valueName: "file"), completion: .file())
    var html: String?
    @Flag(help: "Replace files that exist.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        var options = TraceOptions()
        options.probabilities = probabilities
        options.routers = Set((sites ?? "").split(separator: ",").map(String.init))
        guard let aggregation = TraceOptions.Aggregation(rawValue: aggregate) else {
            throw Failure(.usageBadArgument, "--aggregate is none, sample or task, not '\(aggregate)'")
        }
        options.aggregation = aggregation
        if tokens != "all" {
            guard let count = Int(tokens), count > 0 else {
                throw Failure(.usageBadArgument, "--tokens is all or a number above 0, not '\(tokens)'")
            }
            options.tokens = count
        }
        let chosen = try SampleChoice(list: samples, first: first)
        try subject.work(session).trace(to: to, chosen, options, html: html, replacing: force)
    }
}

struct RouterExplain: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Explain a router's decision about one sample.",
        discussion: """
            Which experts had how large a share, layer by layer and token by token; what the answer would be without \
            each of them; and where each comes from.
            """)
    static let examples = [
        "lorabank router explain runs/clinc150 --sample 12",
        "lorabank router explain runs/clinc150 --sample 12 --html explain.html",
    ]

    @OptionGroup var subject: RouterSubject
    @Option(help: ArgumentHelp("Place of the sample in the suite's split.", valueName: "n"))
    var sample: Int
    @Option(help: ArgumentHelp("Draw the heat maps into this page.", valueName: "file"), completion: .file())
    var html: String?
    @Flag(help: "Replace a file that exists.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try subject.work(session).explain(sample, html: html, replacing: force) }
}

struct RouterReplay: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Verify a trace: check its seal, make it again, compare.",
        discussion: "Ends with exit 9 when the seal is broken or a record differs by more than rounding.")
    static let examples = ["lorabank router replay runs/clinc150 --trace trace.jsonl"]

    @OptionGroup var subject: RouterSubject
    @Option(help: ArgumentHelp("The trace.", valueName: "file"), completion: .file())
    var trace: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        // A broken seal is told before anything is loaded.
        let found = try RoutingTrace(path: trace)
        try subject.work(session).replay(found)
    }
}

struct RouterCollapse: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "collapse", abstract: "Turn a router into one static adapter, and say what that costs.",
        discussion: """
            Mixing weights are averaged per linear over training samples; the experts' updates are added with these \
            weights. The accuracy of both stands in the result.
            """)
    static let examples = [
        "lorabank router collapse runs/clinc150 --name clinc150-static",
        "lorabank router collapse runs/clinc150 --to out/static --rank 16",
    ]

    @OptionGroup var subject: RouterSubject
    @Option(help: ArgumentHelp("Keep the adapter in the bank under this name.", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Write the adapter as a PEFT folder.", valueName: "dir"), completion: .directory)
    var to: String?
    @Option(help: ArgumentHelp("Rank of each module. (default: the experts' ranks together)", valueName: "r"))
    var rank: Int?
    @Option(help: ArgumentHelp("Calibration samples.", valueName: "n"))
    var samples = 500
    @Flag(help: "Replace a folder that exists.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        guard (name == nil) != (to == nil) else {
            throw Failure(.usageBadArgument, "say where the adapter goes: --name NAME or --to PATH, one of them")
        }
        if let rank, rank < 1 { throw Failure(.usageBadArgument, "--rank must be at least 1, not \(rank)") }
        try subject.work(session).collapse(name: name, path: to, rank: rank, samples: samples, replacing: force)
    }
}
