import ArgumentParser

struct BackboneCommand: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        commandName: "backbone", abstract: "The networks that adapters are evaluated and trained on.",
        subcommands: [BackboneList.self, BackboneImport.self, BackbonePretrain.self, BackboneShow.self])
    static let examples = ["lorabank backbone import models/minilm --name minilm", "lorabank backbone list"]
}

struct BackboneList: BankCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the bank's backbones.")
    static let examples = ["lorabank backbone list"]
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try ResourceWork(session: session, kind: .backbone).list() }
}

struct BackboneImport: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring a backbone into the bank, so that suites can name it.",
        discussion:
            "The folder holds config.json, model.safetensors (or shards) and the tokenizer; all of it is checked.")
    static let examples = ["lorabank backbone import models/minilm --name minilm"]

    @Argument(help: ArgumentHelp("The model's folder.", valueName: "path"), completion: .directory)
    var path: String
    @OptionGroup var options: ResourceImportOptions
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try ResourceWork(session: session, kind: .backbone).import(
            path, name: options.name, linked: options.link, replacing: options.force, dryRun: dryRun.isOn)
    }
}

struct BackboneShow: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show shapes, features and adaptable sites of a backbone.")
    static let examples = ["lorabank backbone show minilm"]

    @Argument(help: ArgumentHelp("A name of the bank, or a folder.", valueName: "name"))
    var subject: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try ResourceWork(session: session, kind: .backbone).show(subject) }
}

/// What `backbone import` and `data import` have in common.
struct ResourceImportOptions: ParsableArguments {
    @Option(help: "Name in the bank. (default: the folder's name)")
    var name: String?
    @Flag(help: "Remember where the folder is instead of copying it.")
    var link = false
    @Flag(help: "Let the name pass to other content.")
    var force = false
}
