import ArgumentParser
import Bank

struct Approve: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Approve pending adapters.",
        discussion: "The decision, its reason and who took it go into the audit log.")
    static let examples = ["lorabank approve vit-cifar --reason \"tested on the validation set\""]

    @Argument(help: ArgumentHelp("The adapters.", valueName: "ref"))
    var references: [String]
    @Option(help: "Why.")
    var reason: String
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try session.change("approve", references, dryRun: dryRun.isOn, verb: "approved", infinitive: "approve") {
            bank, reference, batch in
            try bank.approve(reference, reason: reason, batch: batch)
        }
    }
}
