import ArgumentParser

struct DataCommand: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "The labelled data that adapters are evaluated and trained on.",
        subcommands: [DataList.self, DataImport.self, DataShow.self])
    static let examples = ["lorabank data import data/clinc150 --name clinc150", "lorabank data list"]
}

struct DataList: BankCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the bank's data sets.")
    static let examples = ["lorabank data list"]
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try ResourceWork(session: session, kind: .data).list() }
}

struct DataImport: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring a data set into the bank, so that suites can name it.",
        discussion: """
            Folders with meta.json and IDX, TSV, CSV or NPZ files, CIFAR binaries, or one folder of images per class.
            """)
    static let examples = ["lorabank data import data/clinc150 --name clinc150", "lorabank data import big/ --link"]

    @Argument(help: ArgumentHelp("The data's folder.", valueName: "path"), completion: .directory)
    var path: String
    @OptionGroup var options: ResourceImportOptions
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try ResourceWork(session: session, kind: .data).import(
            path, name: options.name, linked: options.link, replacing: options.force, dryRun: dryRun.isOn)
    }
}

struct DataShow: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show classes, splits and tasks of a data set.")
    static let examples = ["lorabank data show clinc150"]

    @Argument(help: ArgumentHelp("A name of the bank, or a folder.", valueName: "name"))
    var subject: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try ResourceWork(session: session, kind: .data).show(subject) }
}
