import ArgumentParser
import Merging

struct RecipeSearchCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Try the values of a recipe's `search` section and rank them.",
        discussion: """
            The section names settings with values to try, a strategy (grid, coordinate, cma_es) and a budget. \
            Without a suite the objective is computed from the weights: `retention` (do the adapters act as alone?), \
            `interference` (how much do the others act in its place?) or `sign_conflict`. With --suite it is the accuracy; \
            take a validation split for it. Methods of classes G and S are searched on cached cores.
            """)
    static let examples = [
        "lorabank recipe search tsv.yaml --table search.csv",
        "lorabank recipe search tsv.yaml --suite mnist.yaml --suite-set data.split=val",
    ]

    @Argument(help: "A recipe file with a `search` section.", completion: .file())
    var recipe: String
    @Option(help: "What to improve: retention, interference, sign_conflict, accuracy.")
    var objective: RecipeSearchWork.Objective?
    @Option(help: ArgumentHelp("Measure accuracy on this suite.", valueName: "file"), completion: .file())
    var suite: String?
    @Option(
        name: .customLong("suite-set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the suite. Repeatable.", valueName: "key=value"))
    var suiteSettings: [String] = []
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the recipe. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(help: ArgumentHelp("Candidates at most.", valueName: "n"))
    var budget: Int?
    @Option(help: "Seed of cma_es.")
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("Write every candidate to this CSV file.", valueName: "file"), completion: .file())
    var table: String?
    @Flag(help: "Replace the file at --table.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let budget, budget < 1 { throw ValidationError("--budget takes at least 1") }
        if objective == .accuracy, suite == nil { throw ValidationError("accuracy needs --suite") }
    }

    func run(in session: Session) throws {
        var work = RecipeSearchWork(session: session, recipe: recipe, settings: settings)
        work.suite = suite
        work.suiteSettings = suiteSettings
        work.objective = objective ?? (suite == nil ? .retention : .accuracy)
        let outcome = try work.run(budget: budget, seed: seed)
        if let table { try outcome.write(to: table, replacing: force) }
        session.result(outcome.document) { outcome.text(session) }
    }
}
