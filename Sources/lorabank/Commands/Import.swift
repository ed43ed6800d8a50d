import Adapters
import ArgumentParser
import Bank
import Diagnostics
import Reports
import WeightFiles

struct Import: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring adapters into the bank: folders, weight files, archives.",
        discussion: "Folders are searched for adapters. Every file is inspected; what is refused leaves no trace.")
    static let examples = [
        "lorabank import downloads/vit-cifar --name vit-cifar --tag set=vision",
        "lorabank import lora.safetensors --alpha 16 --base meta-llama/Llama-3-8B",
    ]

    @Argument(
        help: ArgumentHelp("Folders, .safetensors files, tar or ZIP archives.", valueName: "path"), completion: .file())
    var paths: [String]
    @Option(help: "Name in the bank, for a single adapter. (default: the folder's or file's name)")
    var name: String?
    @Option(name: .customLong("tag"), help: ArgumentHelp("Set a tag: K=V or K. Repeatable.", valueName: "tag"))
    var tags: [String] = []
    @Option(help: "Name of the base model, instead of the configured one.")
    var base: String?
    @Option(help: "alpha of weights without a configuration.")
    var alpha: Double?
    @Option(help: "Scale of weights without a configuration; wins over --alpha.")
    var scale: Double?
    @Flag(name: .customLong("trust-tensors"), help: "Take ranks from the tensors where the configuration differs.")
    var trustTensors = false
    @Option(help: ArgumentHelp("Which folder of an archive that holds several adapters.", valueName: "folder"))
    var select: String?
    @Flag(name: .customLong("fail-fast"), help: "Stop at the first failure.")
    var failFast = false
    @Flag(help: "Findings of level warning end with status 3.")
    var strict = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        var options = ImportOptions()
        options.tags = try tags.map(Tag.init(parsing:))
        options.name = try name.map { text in
            _ = try AdapterName.parse(text)
            return text
        }
        options.base = base
        options.alpha = alpha
        options.scale = scale
        options.trustTensors = trustTensors
        options.select = select
        options.threads = session.threads
        let work = ImportWork(session: session, options: options, failFast: failFast, dryRun: dryRun.isOn)
        try work.run(paths)
        session.result(work.document) { work.text }
        if strict, work.hasWarnings { session.endWith(3) }
    }
}
