import ArgumentParser
import Diagnostics
import Merging
import WeightFiles

struct Extract: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make an adapter of a tuned model: its difference to the base in low rank.",
        discussion: """
            --rank takes a number, energy:0.99 (smallest rank that keeps this share of each matrix's energy), tail:0.1 \
            (relative error at most this) or keep. Matrices up to 2048 are decomposed exactly, larger ones by a randomised \
            method. Changed norms go to modules_to_save, changed biases beside them; what an adapter cannot hold is named. \
            An interrupted run to a path goes on where it stopped when it is started again.
            """)
    static let examples = [
        "lorabank extract --base models/base --tuned models/tuned --rank 16 --to adapters/tuned",
        "lorabank extract --base base.safetensors --tuned tuned.safetensors --rank energy:0.95 --name tuned",
    ]

    @Option(help: ArgumentHelp("Folder or file with the weights of the base.", valueName: "model"), completion: .file())
    var base: String
    @Option(help: ArgumentHelp("Folder or file with the tuned weights.", valueName: "model"), completion: .file())
    var tuned: String
    @Option(help: ArgumentHelp("Rank of each module: a number, energy:SHARE, tail:ERROR or keep.", valueName: "rank"))
    var rank: String
    @Option(help: "Name of the adapter in the bank.")
    var name: String?
    @Option(help: ArgumentHelp("Write a PEFT folder here instead.", valueName: "path"), completion: .file())
    var to: String?
    @Option(help: "Element type of the factors: keep (that of the tuned weights), f32, f16 or bf16.")
    var dtype = Bake.Precision.keep
    @Option(
        name: .customLong("base-name"),
        help: ArgumentHelp(
            "What the adapter calls its base; default: what the base's configuration says.", valueName: "name"))
    var baseName: String?
    @Option(help: "Seed of the randomised decompositions.")
    var seed: UInt64 = 0
    @Option(
        name: .customLong("tag"), help: ArgumentHelp("Set a tag on the result: K=V or K. Repeatable.", valueName: "tag")
    )
    var tags: [String] = []
    @Option(help: ArgumentHelp("Memory to stay within, in MiB.", valueName: "mib"))
    var memory = 1024
    @Flag(help: "Replace what stands at --to.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if (name == nil) == (to == nil) { throw ValidationError("give --name or --to") }
        if memory < 16 { throw ValidationError("--memory takes at least 16") }
    }

    func run(in session: Session) throws {
        var options = Extraction.Options()
        options.rank = try ExtractWork.rank(rank)
        options.precision = OutputPlan.Precision(rawValue: dtype.rawValue) ?? .keep
        options.memoryLimitBytes = memory << 20
        options.threads = session.threads
        options.seed = seed
        let work = ExtractWork(session: session, base: base, tuned: tuned, baseName: baseName)
        let outcome = try work.extract(options, name: name, to: to, tags: tags, replacing: force)
        session.result(outcome.document) { outcome.text(session) }
    }
}
