import ArgumentParser
import Bank
import Reports
import WeightFiles

struct Check: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look for damage in the bank.",
        discussion: "Ends with status 9 when something is damaged. Changes nothing.")
    static let examples = ["lorabank check", "lorabank check --read-data"]

    @Flag(name: .customLong("read-data"), help: "Also read every object and compare its digest.")
    var readData = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let report = try session.bank().check(readData: readData, progress: session.progress)
        session.result(
            .document(
                "check",
                [
                    .init("sound", .bool(report.problems.isEmpty)),
                    .init("problems", .array(report.problems.map(AdapterDocument.failure))),
                    .init("notes", .texts(report.notes)), .init("adapters", .integer(report.adapters)),
                    .init("objects", .integer(report.objects)), .init("bytes_read", .integer(report.bytesRead)),
                    .init("audit_rows", .integer(report.auditRows)), .init("read_data", .bool(report.readData)),
                ])
        ) {
            let verdict = report.problems.isEmpty ? "no damage found" : "\(report.problems.count) problems found"
            let depth = report.readData ? "\(Quantities.bytes(report.bytesRead)) read" : "data not read (--read-data)"
            return
                "\(verdict): \(report.adapters) adapters, \(report.objects) objects, \(report.auditRows) audit rows; "
                + "\(depth)\n"
        }
        for note in report.notes { session.note(note) }
        for problem in report.problems { session.report(problem) }
    }
}
