import ArgumentParser
import Merging
import Routing
import WeightFiles

struct RecipeLearnCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn", abstract: "Learn the weights of a `cat` recipe from a few training samples.",
        discussion: """
            One weight per adapter and module, by gradient descent on the suite's training split through its head; the \
            adapters stay as they are. A part of the samples is held out and decides which step is kept. The recipe \
            with the learned weights is written to --to: `lorabank merge` merges it like any other.
            """)
    static let examples = [
        "lorabank recipe learn recipes/merge/cat.yaml --suite recipes/suites/starter-digits.yaml --to learned.json",
        "lorabank merge learned.json --name digits-learned",
    ]

    @Argument(help: "A recipe file with merge_method: cat.", completion: .file())
    var recipe: String
    @Option(help: ArgumentHelp("Data, backbone and head to learn with.", valueName: "file"), completion: .file())
    var suite: String
    @Option(
        name: .customLong("suite-set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the suite. Repeatable.", valueName: "key=value"))
    var suiteSettings: [String] = []
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the recipe. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(help: ArgumentHelp("Training samples at most. (default: all)", valueName: "n"))
    var samples: Int?
    @Option(help: ArgumentHelp("Steps of AdamW.", valueName: "n"))
    var steps = 100
    @Option(help: "Samples per step.")
    var batch = 32
    @Option(name: .customLong("lr"), help: "Learning rate at the beginning; falls as a cosine.")
    var learningRate = 0.05
    @Option(help: "Share of the samples that is held out, below 1.")
    var validation = 0.2
    @Option(help: "Seed of the choice and order of samples.")
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("Write the learned recipe to this file.", valueName: "file"), completion: .file())
    var to: String?
    @Flag(help: "Replace the file at --to.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let samples, samples < 1 { throw ValidationError("--samples takes at least 1") }
        if steps < 1 || batch < 1 { throw ValidationError("--steps and --batch take at least 1") }
        if !(learningRate > 0 && learningRate.isFinite) { throw ValidationError("--lr takes a positive number") }
        if !(validation >= 0 && validation < 1) {
            throw ValidationError("--validation takes a share from 0 to below 1")
        }
    }

    func run(in session: Session) throws {
        var work = RecipeLearnWork(
            session: session, recipe: recipe, settings: settings, suite: suite, suiteSettings: suiteSettings)
        work.samples = samples
        work.options.steps = steps
        work.options.batch = batch
        work.options.learningRate = learningRate
        work.options.validation = validation
        work.options.seed = seed
        let outcome = try work.run()
        if let to, !dryRun.isOn {
            let text = outcome.learned.text(.indented(2)) + "\n"
            try AtomicFile.write(Array(text.utf8), to: to, overwrite: force)
        }
        session.result(outcome.document) { outcome.text(session) }
    }
}
