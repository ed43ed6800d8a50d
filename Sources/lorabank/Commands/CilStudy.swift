import ArgumentParser
import ContinualLearning
import Diagnostics
import Reports
import WeightFiles

struct CilStudy: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "study", abstract: "Run many settings over the same seeds and put them into one table.",
        discussion: """
            map: structures, rules, and the adapters of independent runs merged by shipped recipes (independent+tsv_m: \
            run it where recipes/merge is); 2x2: {chain, moe-v0} x {ta, pam-lite}; timescales: update periods. Each with \
            the anchors backbone (lower) and joint (upper), paired by seed. A study that was stopped goes on with the \
            runs that are missing; settings that fail are named and left out.
            """)
    static let examples = [
        "lorabank cil study 2x2 --run studies/2x2 --config recipes/cil/chain.yaml",
        "lorabank cil study map --run studies/map --config recipes/cil/chain.yaml --seeds 5 --jobs 2",
    ]

    @Argument(help: ArgumentHelp("map, 2x2 or timescales.", valueName: "study"))
    var study: StudyPreset
    @Option(name: .customLong("run"), help: ArgumentHelp("The study's directory.", valueName: "dir"))
    var folder: String
    @Option(help: ArgumentHelp("The configuration that all settings share.", valueName: "path"))
    var config = "recipes/cil/chain.yaml"
    @Option(help: ArgumentHelp("Training seeds 0 to n-1.", valueName: "n"))
    var seeds = 3
    @Option(help: ArgumentHelp("Runs at a time, each on one thread.", valueName: "n"))
    var jobs = 2
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key for all settings. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Leave the other settings out, e.g. single or chain/tsv; the anchors stay. Repeatable.",
            valueName: "setting"))
    var only: [String] = []
    @Flag(name: .customLong("vary-order"), help: "Let the class order change with the seed.")
    var variesOrder = false
    @Flag(name: .customLong("collect"), help: "Run nothing; make the table of what is there.")
    var collects = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        guard (1...1000).contains(seeds), (1...64).contains(jobs) else {
            throw Failure(.usageBadArgument, "--seeds and --jobs are whole numbers from 1 on")
        }
        let chosen = try study.settings(only: only)
        let work = StudyWork(
            session: session, preset: study, settings: chosen, configuration: config, folder: folder,
            seeds: Array(0..<seeds),
            jobs: jobs, overrides: settings, variesOrder: variesOrder)
        let outcome = try collects || dryRun.isOn ? work.collect() : work.run()
        if !dryRun.isOn {
            let json = outcome.document.text(.indented(2)) + "\n"
            try AtomicFile.write(Array(json.utf8), to: folder + "/study.json", overwrite: true)
            _ = try RunReportWork(session: session).write(outcome.page, to: folder)
        }
        session.result(outcome.document) {
            dryRun.isOn
                ? "would run \(chosen.count * seeds) runs into \(session.shown(folder))\n"
                : outcome.text(session)
        }
    }
}

extension StudyPreset: ExpressibleByArgument {
    /// The anchors and the settings of these names; all settings when none is named.
    fileprivate func settings(only names: [String]) throws -> [StudySetting] {
        let known = settings.filter { !$0.isAnchor }.map(\.name)
        for name in names where !known.contains(name) {
            throw Failure(
                .usageBadArgument, "study \(rawValue) has no setting '\(name)'",
                hint: Spelling.hint(for: name, among: known) ?? "settings: \(known.joined(separator: ", "))")
        }
        let sources = settings.filter { names.contains($0.name) }.compactMap { $0.merging?.source }
        let wanted = Set(names + sources)
        return names.isEmpty ? settings : settings.filter { $0.isAnchor || wanted.contains($0.name) }
    }
}
