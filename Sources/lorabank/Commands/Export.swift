import ArgumentParser
import Bank
import Reports
import WeightFiles

struct Export: BankCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case peft
    }

    static let configuration = CommandConfiguration(
        abstract: "Write an adapter as a folder that other programs read.",
        discussion: "An imported PEFT adapter comes out with the bytes it came in with.")
    static let examples = ["lorabank export vit-cifar --to out/vit-cifar"]

    @Argument(help: ArgumentHelp("The adapter.", valueName: "ref"))
    var reference: String
    @Option(help: ArgumentHelp("Folder to make.", valueName: "path"), completion: .directory)
    var to: String
    @Option(help: "Format: peft.")
    var format = Format.peft
    @Flag(help: "Replace what stands at the path.")
    var force = false
    @Flag(name: .customLong("allow-unapproved"), help: "Export a pending adapter under the policy strict (recorded).")
    var allowUnapproved = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let exported = try ExportWork(session: session, allowUnapproved: allowUnapproved)
            .export(reference, to: to, replacing: force, dryRun: dryRun.isOn)
        session.result(exported.document) { exported.text(session) }
    }
}
