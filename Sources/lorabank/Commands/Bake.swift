import ArgumentParser
import Merging
import WeightFiles

struct Bake: BankCommand {
    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case keep, f32, f16, bf16
    }

    static let configuration = CommandConfiguration(
        abstract: "Fold an adapter into the weights of its base model.",
        discussion: """
            The base is a folder (model.safetensors, or shards with their index) or a file. The result has the same \
            tensors: base + update, added in single precision and rounded once. NAME.safetensors is one file, anything \
            else a folder with the base's configuration and tokenizer.
            """)
    static let examples = [
        "lorabank bake digits --base models/vit --to models/vit-digits",
        "lorabank bake path:adapters/eve --base base.safetensors --to merged.safetensors --dtype bf16",
    ]

    @Argument(help: ArgumentHelp("The adapter.", valueName: "ref"), completion: .file())
    var reference: String
    @Option(help: ArgumentHelp("Folder or file with the weights of the base.", valueName: "model"), completion: .file())
    var base: String
    @Option(help: ArgumentHelp("Write the result here.", valueName: "path"), completion: .file())
    var to: String
    @Option(help: "Element type of the result: keep (that of the base), f32, f16 or bf16.")
    var dtype = Precision.keep
    @Option(help: ArgumentHelp("Multiply the update by this.", valueName: "number"))
    var weight = 1.0
    @Option(help: ArgumentHelp("Memory to stay within, in MiB.", valueName: "mib"))
    var memory = 1024
    @Flag(help: "Replace what stands at --to.")
    var force = false
    @Flag(name: .customLong("allow-unapproved"), help: "Use a pending adapter under the policy strict (recorded).")
    var allowUnapproved = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if memory < 16 { throw ValidationError("--memory takes at least 16") }
        if !weight.isFinite { throw ValidationError("--weight takes a finite number") }
    }

    func run(in session: Session) throws {
        var options = PlanOptions()
        options.threads = session.threads
        options.memoryLimitBytes = memory << 20
        let work = BakeWork(session: session, allowUnapproved: allowUnapproved)
        let recipe = try work.recipe(reference, base: base, precision: dtype.rawValue, weight: weight)
        let outcome = try work.bake(recipe, options: options, to: to, replacing: force, dryRun: dryRun.isOn)
        session.result(outcome.document) { outcome.text(session) }
    }
}
