import ArgumentParser
import Merging
import WeightFiles

struct RecipeCommand: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        commandName: "recipe", abstract: "Check, show and convert recipes; list the merge methods.",
        subcommands: [
            RecipeValidate.self, RecipeMethods.self, RecipeShow.self, RecipeLock.self, RecipeImportCommand.self,
            RecipeSearchCommand.self, RecipeLearnCommand.self, RecipeSchemaCommand.self,
        ])
    static let examples = ["lorabank recipe methods tsv_m", "lorabank recipe validate recipes/merge/ties.yaml"]
}

struct RecipeValidate: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check recipes without touching an adapter.",
        discussion: "Keys, types, methods, parameters, ranges, patterns and the order of stages.")
    static let examples = ["lorabank recipe validate recipes/merge/ties.yaml"]

    @Argument(help: "Recipe files.", completion: .file())
    var recipes: [String]
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = RecipeWork(session: session)
        let checked = work.validate(recipes)
        session.result(.document("recipe_validate", [.init("recipes", .array(checked.map(\.json)))])) {
            checked.map { $0.text(session) }.joined()
        }
    }
}

struct RecipeMethods: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "methods", abstract: "List the merge methods, or explain one with its parameters and source.")
    static let examples = ["lorabank recipe methods", "lorabank recipe methods ties --compat mergekit"]

    @Argument(help: ArgumentHelp("A method or a step of post.", valueName: "id"))
    var method: String?
    @Option(help: "Whose methods: none, peft, mergekit, reference, kohya.")
    var compat = Compatibility.none
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let text = try RecipeWork(session: session).methods(method, compat)
        session.result(RecipeCatalogue().json()) { text }
    }
}

struct RecipeShow: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what a recipe would do: stages, methods, adapters, modules.")
    static let examples = ["lorabank recipe show recipes/merge/ties.yaml --set parameters.density=0.4"]

    @Argument(help: "A recipe file.", completion: .file())
    var recipe: String
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let plan = try RecipeWork(session: session).plan(recipe, settings)
        session.result(.document("recipe_show", PlanDocument.members(plan))) { PlanDocument.text(plan, session) }
    }
}

struct RecipeLock: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock", abstract: "Write a recipe with every adapter named by its content.",
        discussion: "Tags are expanded, settings worked in: the locked recipe means the same in a year.")
    static let examples = ["lorabank recipe lock recipes/merge/ties.yaml --to ties.lock.json"]

    @Argument(help: "A recipe file.", completion: .file())
    var recipe: String
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(help: ArgumentHelp("File to write. (default: standard output)", valueName: "path"), completion: .file())
    var to: String?
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let text = try RecipeWork(session: session).plan(recipe, settings).resolved.json.text(.indented(2)) + "\n"
        try session.write(text, to: to, command: "recipe_lock", replacing: force, dryRun: dryRun.isOn)
    }
}

struct RecipeImportCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Turn a mergekit file or the arguments of a PEFT call into a recipe.")
    static let examples = ["lorabank recipe import --from mergekit merge.yml --to merge.yaml"]

    @Argument(help: "The file.", completion: .file())
    var file: String
    @Option(help: "What it is: mergekit, peft.")
    var from: RecipeImport.Source
    @Option(help: ArgumentHelp("File to write. (default: standard output)", valueName: "path"), completion: .file())
    var to: String?
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let imported = try RecipeWork(session: session).converted(file, from: from)
        try session.write(imported, to: to, command: "recipe_import", replacing: force, dryRun: dryRun.isOn)
    }
}

struct RecipeSchemaCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON schema of recipes, for editors.")
    static let examples = ["lorabank recipe schema > recipe.schema.json"]

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let schema = RecipeSchema().json()
        session.result(schema) { schema.text(.indented(2)) + "\n" }
    }
}

extension Compatibility: ExpressibleByArgument {}
extension RecipeImport.Source: ExpressibleByArgument {}
