import ArgumentParser
import Bank
import Governance
import Reports
import WeightFiles

extension ApprovalState: ExpressibleByArgument {}

struct List: BankCommand {
    static let configuration = CommandConfiguration(abstract: "List the adapters of the bank.")
    static let examples = [
        "lorabank list --tag set=digits --state approved --sort -created",
        "lorabank list --json | jq '.adapters[].name'",
    ]

    @Option(
        name: .customLong("tag"),
        help: ArgumentHelp("Only adapters with this tag: K=V or K. Repeatable.", valueName: "tag"))
    var tags: [String] = []
    @Option(name: .customLong("state"), help: "Only this state: pending, approved, rejected, revoked. Repeatable.")
    var states: [ApprovalState] = []
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Order: name, version, state, base, rank, modules, parameters, bytes, created; -KEY falls.",
            valueName: "key"))
    var sort = "name"
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let filter = ListFilter(
            tags: try tags.map(TagFilter.init(parsing:)), states: states, sort: try SortOrder(parsing: sort))
        session.list(
            try session.bank().list(filter), command: "list", whenEmpty: "no adapters; `lorabank import PATH` adds some"
        )
    }
}
