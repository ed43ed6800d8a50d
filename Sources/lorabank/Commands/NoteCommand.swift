import ArgumentParser
import Bank

struct NoteCommand: BankCommand {
    static let configuration = CommandConfiguration(commandName: "note", abstract: "Add a remark to an adapter.")
    static let examples = ["lorabank note vit-cifar \"overfits after epoch 3\""]

    @Argument(help: ArgumentHelp("The adapter.", valueName: "ref"))
    var reference: String
    @Argument(help: "The remark.")
    var text: String
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try session.change("note", [reference], dryRun: dryRun.isOn, verb: "noted", infinitive: "note") {
            bank, reference, batch in
            try bank.note(reference, text, batch: batch)
        }
    }
}
