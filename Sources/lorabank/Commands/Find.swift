import ArgumentParser
import Bank

struct Find: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Search adapters by words, tags and numbers.",
        discussion: "`lorabank help find` explains the query language.")
    static let examples = [
        "lorabank find 'task:cifar state:approved rank<=8 acc>0.7 \"class incremental\"'",
        "lorabank find vit --sort -created",
    ]

    @Argument(help: ArgumentHelp("Words, \"phrases\", field:value, field<=number.", valueName: "query"))
    var words: [String]
    @Option(parsing: .unconditional, help: ArgumentHelp("Order, as in list.", valueName: "key"))
    var sort = "name"
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let query = words.joined(separator: " ")
        session.list(
            try session.bank().find(query, sort: SortOrder(parsing: sort)), command: "find", whenEmpty: "nothing found")
    }
}
