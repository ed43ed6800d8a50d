import ArgumentParser
import Networks
import Settings

struct Eval: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Evaluate adapters, merges and the backbone on labelled data.",
        discussion: """
            A suite names backbone, data, head and tasks; see recipes/suites/. Without anything to evaluate it is the \
            backbone. Recipes are merged first, as `merge` would. What is measured on adapters of the bank is kept \
            and shown by `show`.
            """)
    static let examples = [
        "lorabank eval tag:set=digits --suite recipes/suites/mnist-vit.yaml --backbone",
        "lorabank eval --suite s.yaml --recipe ties.yaml --recipe-set parameters.lambda=0.5",
    ]

    @Argument(help: ArgumentHelp("Adapters: names, tags, paths.", valueName: "ref"))
    var references: [String] = []
    @Option(help: ArgumentHelp("What to evaluate on.", valueName: "file"), completion: .file())
    var suite: String
    @Option(
        name: .customLong("recipe"),
        help: ArgumentHelp("Evaluate what this recipe merges. Repeatable.", valueName: "file"), completion: .file())
    var recipes: [String] = []
    @Flag(help: "Evaluate the bare backbone too.")
    var backbone = false
    @Option(
        help: ArgumentHelp(
            "Each sample through the adapter of its task: task=REF,…, or tag:KEY for the adapters tagged KEY=<task>.",
            valueName: "spec"))
    var oracle: String?
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the suite. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(
        name: .customLong("recipe-set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the recipes. Repeatable.", valueName: "key=value"))
    var recipeSettings: [String] = []
    @Flag(help: "Show the accuracy on each task.")
    var tasks = false
    @Flag(help: "Add predictions, confusion matrix and calibration to the JSON.")
    var details = false
    @Flag(name: .customLong("no-record"), help: "Keep nothing in the bank.")
    var noRecord = false
    @Option(
        help: ArgumentHelp(
            "Round weights and inputs of the backbone's linears to bf16; half the weights' memory, nothing is recorded.",
            valueName: "precision"))
    var precision = Precision.float32
    @Option(help: ArgumentHelp("Memory to stay within, in MiB.", valueName: "mib"))
    var memory = 1024
    @Flag(name: .customLong("allow-base-mismatch"), help: "Let recipes merge adapters of different base models.")
    var allowBaseMismatch = false
    @Flag(name: .customLong("allow-unapproved"), help: "Use pending adapters under the policy strict (recorded).")
    var allowUnapproved = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if memory < 16 { throw ValidationError("--memory takes at least 16") }
    }

    func run(in session: Session) throws {
        let work = try EvalWork(
            session: session, suite: suite, overrides: settings.map { try SettingOverride($0) },
            allowUnapproved: allowUnapproved, memoryLimitBytes: memory << 20, precision: precision)
        if backbone || (references.isEmpty && recipes.isEmpty && oracle == nil) { work.addBackbone() }
        for reference in references { work.addAdapters(reference) }
        let overrides = try recipeSettings.map { try SettingOverride($0) }
        for recipe in recipes { work.addMerge(recipe, overrides, allowBaseMismatch: allowBaseMismatch) }
        if let oracle { work.addOracle(oracle) }
        let outcome = try work.evaluate(recording: !noRecord)
        session.result(outcome.document(details: details)) { outcome.text(session, tasks: tasks) }
    }
}

extension Precision: ExpressibleByArgument {}
