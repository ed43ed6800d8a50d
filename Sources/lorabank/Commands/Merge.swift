import ArgumentParser
import Merging
import Settings
import WeightFiles

struct Merge: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Merge adapters by a recipe, or by a method and its operands.",
        discussion: """
            The result goes into the bank (--name, or the recipe's name) or to a path (--to): NAME.safetensors is one \
            file, anything else a PEFT folder. `lorabank recipe methods` lists the methods and their parameters.
            Full checkpoints (folders or files of safetensors) merge by the same methods into a checkpoint at --to; \
            an interrupted run goes on where it stopped when it is started again.
            """)
    static let examples = [
        "lorabank merge --method tsv_m a b --set lambda=0.5 --to merged/",
        "lorabank merge recipes/merge/ties.yaml --name digits --set output.rank=16",
    ]

    @Argument(
        help: ArgumentHelp("A recipe; with --method the adapters.", valueName: "recipe-or-ref"), completion: .file())
    var operands: [String]
    @Option(help: ArgumentHelp("Merge the named adapters by this method.", valueName: "id"))
    var method: String?
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Override a key of the recipe, or a parameter of the method. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(help: "Name of the result in the bank.")
    var name: String?
    @Option(help: ArgumentHelp("Write the result here instead.", valueName: "path"), completion: .file())
    var to: String?
    @Option(help: "Seed of random methods.")
    var seed: UInt64?
    @Option(
        name: .customLong("tag"), help: ArgumentHelp("Set a tag on the result: K=V or K. Repeatable.", valueName: "tag")
    )
    var tags: [String] = []
    @Option(help: ArgumentHelp("Memory to stay within, in MiB, where the recipe names no limit.", valueName: "mib"))
    var memory = 1024
    @Flag(name: .customLong("allow-base-mismatch"), help: "Merge adapters of different base models.")
    var allowBaseMismatch = false
    @Flag(name: .customLong("allow-unapproved"), help: "Use pending adapters under the policy strict (recorded).")
    var allowUnapproved = false
    @Flag(help: "Replace what stands at --to.")
    var force = false
    @Flag(help: "Merge again and compare with the result at --to or --name, byte by byte; write nothing.")
    var verify = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if method == nil, operands.count > 1 { throw ValidationError("give one recipe, or --method and adapters") }
        if name != nil, to != nil { throw ValidationError("give --name or --to, not both") }
        if memory < 16 { throw ValidationError("--memory takes at least 16") }
    }

    func run(in session: Session) throws {
        var overrides = try settings.map { try SettingOverride($0) }
        if let seed { overrides.append(try SettingOverride("seed=\(seed)")) }
        let work = MergeWork(session: session, allowUnapproved: allowUnapproved)
        let recipe =
            try method.map { try work.recipe(method: $0, operands, overrides) }
            ?? work.recipe(at: operands[0], overrides)
        var options = PlanOptions()
        options.threads = session.threads
        options.memoryLimitBytes = memory << 20
        options.allowBaseMismatch = allowBaseMismatch
        let target = try MergeWork.Target(name: name, path: to, recipe: recipe, replacing: force)
        if verify {
            let verification = try work.verify(recipe, options: options, target: target)
            session.result(verification.document) { verification.text(session) }
            return
        }
        let outcome = try work.merge(recipe, options: options, to: target, tags: tags, dryRun: dryRun.isOn)
        session.result(outcome.document) { outcome.text(session) }
    }
}
