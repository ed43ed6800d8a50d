import ArgumentParser
import Bank

struct TagCommand: BankCommand {
    static let configuration = CommandConfiguration(commandName: "tag", abstract: "Set tags on adapters.")
    static let examples = ["lorabank tag vit-cifar set=vision quality=good", "lorabank tag tag:set=vision reviewed"]

    @Argument(help: ArgumentHelp("The adapter, or several by tag:K=V.", valueName: "ref"))
    var reference: String
    @Argument(help: ArgumentHelp("K=V, or K alone.", valueName: "tag"))
    var tags: [String]
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let parsed = try tags.map(Tag.init(parsing:))
        try session.change("tag", [reference], dryRun: dryRun.isOn, verb: "tagged", infinitive: "tag") {
            bank, reference, batch in
            try bank.tag(reference, parsed, batch: batch)
        }
    }
}
