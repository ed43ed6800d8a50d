import ArgumentParser
import WeightFiles

struct Show: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show everything about one adapter: modules, lineage, metrics, findings, decisions.")
    static let examples = ["lorabank show vit-cifar@3"]

    @Argument(help: ArgumentHelp("The adapter.", valueName: "ref"))
    var reference: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let detail = try session.bank().show(reference)
        session.result(.document("show", [.init("adapter", AdapterDocument.detail(detail))])) {
            DetailText(detail).rendered(session)
        }
    }
}
