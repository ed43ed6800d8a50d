import ArgumentParser
import Merging
import Reports
import WeightFiles

struct Compare: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare adapters pair by pair: cosine, sign conflict, subspace overlap; advise on merging.",
        discussion: """
            Exact on the factors; signs are counted on every entry, or above --exact-entries on rows drawn with --seed. \
            What `eval` measured on adapters of the bank is shown beside.
            """)
    static let examples = ["lorabank compare digits-a digits-b", "lorabank compare tag:set=starter --json"]

    @Argument(help: ArgumentHelp("Two adapters or more.", valueName: "ref"))
    var references: [String]
    @Option(help: "Seed of the drawn rows.")
    var seed: UInt64 = 0
    @Option(name: .customLong("exact-entries"), help: "Count every sign up to so many entries.")
    var exactEntries = 1 << 28
    @Flag(help: "Show the norm of every module.")
    var modules = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let adapters = try session.adapters(named: references)
        var options = AdapterComparison.Options()
        options.threads = session.threads
        options.seed = seed
        options.exactEntries = exactEntries
        let comparison = try AdapterComparison.compare(adapters, options: options, progress: session.progress)
        for note in comparison.notes { session.note(note) }
        let metrics = try session.metrics(of: adapters, labels: comparison.names)
        session.result(.document("compare", ComparisonDocument.members(comparison, metrics: metrics))) {
            ComparisonDocument.text(comparison, session, metrics: metrics, modules: modules)
        }
    }
}
