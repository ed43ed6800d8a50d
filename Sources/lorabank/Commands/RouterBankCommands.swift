import ArgumentParser

struct RouterList: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the bank's routers and whether they may run.")
    static let examples = ["lorabank router list"]
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try RouterBankWork(session: session).list() }
}

struct RouterImport: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring a router into the bank, with lineage to its experts.",
        discussion: "A router whose expert was revoked or rejected refuses to run.")
    static let examples = ["lorabank router import runs/clinc150 --name clinc150"]

    @Argument(help: ArgumentHelp("The router's folder.", valueName: "path"), completion: .directory)
    var path: String
    @Option(help: "Name in the bank. (default: the folder's name)")
    var name: String?
    @Flag(help: "Let the name pass to other content.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try RouterBankWork(session: session).import(path, name: name, replacing: force)
    }
}

struct RouterShow: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a router: what it is, its experts and their states.")
    static let examples = ["lorabank router show clinc150"]

    @Argument(help: ArgumentHelp("A router of the bank, or a router's folder.", valueName: "router"))
    var router: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try RouterBankWork(session: session).show(router) }
}
