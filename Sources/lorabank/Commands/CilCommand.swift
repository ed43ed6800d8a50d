import ArgumentParser
import Diagnostics
import Settings

struct CilCommand: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        commandName: "cil", abstract: "Class-incremental learning: train adapters task after task.",
        subcommands: [
            CilRun.self, CilResume.self, CilFork.self, CilAblate.self, CilReplay.self, CilDoctor.self,
            CilReport.self, CilStudy.self,
        ])
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

struct CilFork: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "fork", abstract: "Begin a run in the middle of another, with changed settings.",
        discussion: "The tasks before --task are shared; the lineage stands in config.resolved.json.")
    static let examples = [
        "lorabank cil fork runs/chain --task 2 --run runs/chain-ties --set consolidation.rule=ties-lite"
    ]

    @Argument(help: ArgumentHelp("The run directory to begin from.", valueName: "dir"), completion: .directory)
    var source: String
    @Option(help: "The first task that the new run learns itself.")
    var task: Int
    @Option(
        name: .customLong("run"), help: ArgumentHelp("The new run directory.", valueName: "dir"),
        completion: .directory)
    var folder: String
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the configuration. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Flag(name: .customLong("no-bank"), help: "Enter nothing into the bank.")
    var noBank = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try CilWork(session: session, enters: !noBank).fork(
            source, task: task, folder: folder, overrides: settings)
    }
}

struct CilAblate: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "ablate", abstract: "Show what each memory contributes: all views of the last task.",
        discussion: """
            combined, slow_only, fast_only and backbone_only of one state with one head, before and after \
            consolidation. After a reset fast is empty: post.fast_only is the backbone and post.combined is \
            post.slow_only; what fast knew is pre.fast_only.
            """)
    static let examples = ["lorabank cil ablate runs/chain"]

    @Argument(help: ArgumentHelp("The run directory.", valueName: "dir"), completion: .directory)
    var folder: String
    @Option(help: "After which task. (default: the last)")
    var task: Int?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try CilInspection(session: session).ablate(folder, task: task) }
}

struct CilReplay: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Consolidate or merge what a run learned by other rules, without training.",
        discussion: """
            By rules of consolidation: judged on validation data by class means; exact where slow was frozen, else marked \
            approximate. With --merge, for runs with structure independent: after each task the adapters of all tasks so \
            far are merged, and all heads of the run are evaluated on test data, in the layout of `cil run`. The linear \
            head is that of the run; statistics heads see the train data of each task once, through the merge at its end.
            """)
    static let examples = [
        "lorabank cil replay runs/chain --rule ties-lite --rule tsv",
        "lorabank cil replay runs/digits --merge recipes/merge/tsv_m.yaml",
    ]

    @Argument(help: ArgumentHelp("The run directory.", valueName: "dir"), completion: .directory)
    var folder: String
    @Option(help: "A rule with its defaults. Repeatable. (default: all)")
    var rule: [String] = []
    @Option(
        help: ArgumentHelp(
            """
            A merge recipe whose one entry of models stands for the adapters of the run, or a merge method with its \
            defaults.
            """, valueName: "recipe"), completion: .file())
    var merge: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = CilInspection(session: session)
        guard let merge else { return try work.replay(folder, rules: rule) }
        guard rule.isEmpty else {
            throw Failure(.usageBadArgument, "--rule consolidates, --merge merges: one of them at a time")
        }
        try work.replay(folder, merging: merge)
    }
}

struct CilDoctor: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check a saved state of a run and explain what is wrong.",
        discussion: "Runs the invariants I1, I2, I6, I9, I11, I12 and I16; exit status 9 when one fails.")
    static let examples = ["lorabank cil doctor runs/chain"]

    @Argument(help: ArgumentHelp("The run directory.", valueName: "dir"), completion: .directory)
    var folder: String
    @Option(help: "The checkpoint after which task. (default: the last)")
    var task: Int?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws { try CilInspection(session: session).doctor(folder, task: task) }
}
