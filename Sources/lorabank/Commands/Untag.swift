import ArgumentParser
import Bank

struct Untag: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove tags from adapters.", discussion: "K alone removes every value of the key.")
    static let examples = ["lorabank untag vit-cifar quality", "lorabank untag tag:set=old set=old"]

    @Argument(help: ArgumentHelp("The adapter, or several by tag:K=V.", valueName: "ref"))
    var reference: String
    @Argument(help: ArgumentHelp("K=V, or K for any value.", valueName: "tag"))
    var tags: [String]
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let filters = try tags.map(TagFilter.init(parsing:))
        try session.change("untag", [reference], dryRun: dryRun.isOn, verb: "untagged", infinitive: "untag") {
            bank, reference, batch in
            try bank.untag(reference, filters, batch: batch)
        }
    }
}
