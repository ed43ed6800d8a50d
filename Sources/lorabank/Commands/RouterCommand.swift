import ArgumentParser
import Diagnostics
import Foundation
import Routing
import Settings

struct RouterCommand: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        commandName: "router", abstract: "Mix adapters by a trained LoRA-Mixer router.",
        subcommands: [
            RouterTrain.self, RouterEval.self, RouterTraceCommand.self, RouterExplain.self, RouterReplay.self,
            RouterCollapse.self, RouterList.self, RouterImport.self, RouterShow.self,
        ])
    static let examples = [
        "lorabank router train recipes/router/clinc150.yaml --run runs/clinc150",
        "lorabank router eval runs/clinc150",
    ]
}

/// What a router is compared with.
struct BaselineChoice: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Comma-separated names; 'all', 'none'. \(BaselineChoice.names)", valueName: "names"))
    var baselines = "all"
    @Option(
        name: .customLong("merge"),
        help: ArgumentHelp(
            "Compare with the static merge of this recipe. Repeatable; default: some methods as they are.",
            valueName: "recipe"), completion: .file())
    var merges: [String] = []
    @Flag(
        name: .customLong("only-mode"),
        help: "Run the router only as it was set up, not with K = 1, 2, 3 and dense; no dense_to_sparse_gap then.")
    var onlyMode = false
    @Flag(
        help: """
            Take each expert away in turn; train again with an expert of noise, and without the samples of one expert's \
            task; reverse the experts' order.
            """)
    var robustness = false
    @Option(
        help: ArgumentHelp(
            "Keep predictions that training does not change in this folder, for the next run.", valueName: "dir"),
        completion: .directory)
    var cache: String?

    private static let names = RoutingBaselines.standard.map { "\($0.id): \($0.summary)" }.joined(separator: "; ")

    func options() throws -> RouterTableOptions {
        var options = RouterTableOptions(merges: merges, allModes: !onlyMode, robustness: robustness, cache: cache)
        switch baselines {
        case "all": options.baselines = nil
        case "none": options.baselines = []
        default:
            let names = baselines.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            _ = try RoutingBaselines.named(names)
            options.baselines = names
        }
        return options
    }
}

struct RouterTrain: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a router over frozen adapters and evaluate it.",
        discussion: """
            The configuration names suite, experts, router, routing and loss; see recipes/router/. The router learns from \
            training samples; the suite's test samples are read once, for the table.
            """)
    static let examples = [
        "lorabank router train recipes/router/clinc150.yaml --run runs/clinc150",
        "lorabank router train recipes/router/clinc150.yaml --set train.samples=450 --set seed=2 --json",
    ]

    @Argument(help: ArgumentHelp("The configuration.", valueName: "config"), completion: .file())
    var config: String
    @Option(
        help: ArgumentHelp("Write router, log and table into this folder.", valueName: "dir"), completion: .directory)
    var run: String?
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the configuration. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(
        name: .customLong("suite-set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the suite. Repeatable.", valueName: "key=value"))
    var suiteSettings: [String] = []
    @Flag(name: .customLong("allow-missing"), help: "Allow experts without training samples of their task.")
    var allowMissing = false
    @Flag(name: .customLong("allow-unapproved"), help: "Use pending adapters under the policy strict (recorded).")
    var allowUnapproved = false
    @Flag(name: .customLong("no-eval"), help: "Train only; leave the test samples alone.")
    var noEvaluation = false
    @Option(help: ArgumentHelp("Keep the router in the bank under this name; needs --run.", valueName: "name"))
    var name: String?
    @OptionGroup(title: "Baselines") var baselines: BaselineChoice
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        if name != nil, run == nil { throw Failure(.usageBadArgument, "--name needs --run", place: "--name") }
        let work = RouterWork(
            session: session, allowUnapproved: allowUnapproved, options: try baselines.options())
        let outcome = try work.train(
            config, overrides: settings.map { try SettingOverride($0) },
            suiteOverrides: suiteSettings.map { try SettingOverride($0) }, allowMissing: allowMissing, run: run,
            evaluates: !noEvaluation, name: name)
        session.result(outcome.document) { outcome.text(session) }
    }
}

struct RouterEval: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Evaluate a trained router.",
        discussion: "The experts are found again and must be the very adapters of the training.")
    static let examples = [
        "lorabank router eval runs/clinc150",
        "lorabank router eval runs/clinc150 --set routing.k=3 --set routing.mode=topk --suite-set data.split=val",
    ]

    @Argument(
        help: ArgumentHelp("A router of the bank, or a router's folder.", valueName: "router"), completion: .directory)
    var router: String
    @Option(help: ArgumentHelp("Evaluate on this suite instead of that of the training.", valueName: "file"))
    var suite: String?
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key below 'routing'. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(
        name: .customLong("suite-set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the suite. Repeatable.", valueName: "key=value"))
    var suiteSettings: [String] = []
    @Option(help: "How the experts' products are arranged: auto, dense, gather, hybrid, segment.")
    var plan = "auto"
    @Flag(name: .customLong("allow-unapproved"), help: "Use pending adapters under the policy strict (recorded).")
    var allowUnapproved = false
    @OptionGroup(title: "Baselines") var baselines: BaselineChoice
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = RouterWork(
            session: session, allowUnapproved: allowUnapproved, options: try baselines.options())
        let outcome = try work.evaluate(
            router, suite: suite, overrides: settings.map { try SettingOverride($0) },
            suiteOverrides: suiteSettings.map { try SettingOverride($0) }, plan: plan)
        session.result(outcome.document) { outcome.text(session) }
    }
}
