import ArgumentParser
import Reports
import WeightFiles

struct Doctor: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell what this machine offers and what slows the program down or breaks it.")
    static let examples = ["lorabank doctor"]

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let facts = MachineFacts(session)
        session.result(.document("doctor", facts.members)) { session.rendered(facts.table) }
        for remark in facts.remarks { session.warn(remark) }
    }
}
