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
        commandName: "show", abstract: "Show classes, splits, hashes and samples of a data set.",
        discussion: """
            With --to: one HTML file without any outside part, with samples of every class as pictures or sentences. \
            Samples come from the training data where there are any.
            """)
    static let examples = ["lorabank data show clinc150", "lorabank data show mnist --to mnist.html"]

    @Argument(help: ArgumentHelp("A name of the bank, or a folder.", valueName: "name"))
    var subject: String
    @Option(
        help: ArgumentHelp("Write a page to this file.", valueName: "path"), completion: .file(extensions: ["html"]))
    var to: String?
    @Option(help: ArgumentHelp("Samples of each class on the page. (default: up to 8)", valueName: "n"))
    var samples: Int?
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if let samples, !(1...100).contains(samples) { throw ValidationError("--samples takes 1 to 100") }
    }

    func run(in session: Session) throws {
        let work = ResourceWork(session: session, kind: .data)
        guard let to else { return try work.show(subject) }
        try work.writePage(subject, perClass: samples, to: to, replacing: force, dryRun: dryRun.isOn)
    }
}
