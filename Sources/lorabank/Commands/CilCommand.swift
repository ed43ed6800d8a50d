import ArgumentParser
import Settings

struct CilCommand: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        commandName: "cil", abstract: "Class-incremental learning: train adapters task after task.",
        subcommands: [CilRun.self, CilResume.self, CilReport.self, CilStudy.self])
    static let examples = [
        "lorabank cil run recipes/cil/chain.yaml --run runs/chain", "lorabank cil resume runs/chain",
    ]
}

struct CilRun: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a configuration from the first task to the last.",
        discussion: """
            Trains on the tasks in order, consolidates, checks itself, and evaluates on the test data of all classes \
            seen so far. The run directory holds checkpoints, tables and the adapters; an interrupted run is continued \
            by `cil resume`. With a bank, every adapter is entered into it with its lineage.
            """)
    static let examples = [
        "lorabank cil run recipes/cil/chain.yaml --run runs/chain",
        "lorabank cil run chain.yaml --run runs/pam --set consolidation.rule=pam-lite --set 'seeds.train=[0,1,2]'",
    ]

    @Argument(help: ArgumentHelp("The configuration.", valueName: "config"), completion: .file())
    var config: String
    @Option(
        name: .customLong("run"), help: ArgumentHelp("The run directory.", valueName: "dir"), completion: .directory)
    var folder: String
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the configuration. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Flag(name: .customLong("no-bank"), help: "Enter nothing into the bank.")
    var noBank = false
    @Flag(name: .customLong("force"), help: "Replace the run that is in the directory.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = CilWork(session: session, enters: !noBank)
        try work.start(
            config, overrides: settings, folder: folder, replacing: force, dryRun: dryRun.isOn)
    }
}

struct CilResume: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Continue an interrupted run behind its last checkpoint.",
        discussion: "The files end with the same bytes as those of a run that nothing interrupted.")
    static let examples = ["lorabank cil resume runs/chain"]

    @Argument(help: ArgumentHelp("The run directory.", valueName: "dir"), completion: .directory)
    var folder: String
    @Flag(name: .customLong("no-bank"), help: "Enter nothing into the bank.")
    var noBank = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try CilWork(session: session, enters: !noBank).resume(folder) }
}
