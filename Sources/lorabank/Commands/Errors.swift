import ArgumentParser
import Diagnostics
import WeightFiles

struct Errors: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain error and finding codes: cause, example, remedy.")
    static let examples = ["lorabank errors adapter.rank_mismatch", "lorabank errors archive"]

    @Argument(help: "A code, or an area such as archive. (default: list all)")
    var code: String?
    @Flag(help: ArgumentHelp("Write the pages as Markdown.", visibility: .hidden))
    var markdown = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        if markdown { return StandardStream.output.write(ErrorReference.markdown) }
        let pages = try ErrorReference.pages(matching: code)
        session.result(.document("errors", [.init("errors", .array(pages.map(ErrorReference.json)))])) {
            code == nil
                ? session.rendered(ErrorReference.table) : pages.map(ErrorReference.text).joined(separator: "\n")
        }
    }
}
