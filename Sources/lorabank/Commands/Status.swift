import ArgumentParser
import Governance
import Reports
import WeightFiles

struct Status: BankCommand {
    static let configuration = CommandConfiguration(abstract: "Show what the bank holds and how it is set.")
    static let examples = ["lorabank status", "lorabank status --settings"]

    @Flag(help: "Show each setting with its value and where it comes from.")
    var settings = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        if settings {
            let values = SettingRow.all(session)
            session.result(.document("settings", [.init("settings", .array(values.map(\.json)))])) {
                var table = TerminalTable([.text("SETTING"), .text("VALUE"), .text("FROM")])
                for value in values { table.add([value.name, value.value, value.origin]) }
                return session.rendered(table)
            }
            return
        }
        let status = try session.bank().status()
        session.result(StatusDocument.json(status)) { StatusDocument.text(status) }
    }
}
