import Adapters
import Bank
import Diagnostics
import Foundation
import Governance
import Reports
import WeightFiles

/// `inspect`: paths and names of the bank, one report each.
final class InspectionWork {
    private struct Subject {
        var name: String
        var report: InspectionReport
        var adapter: Adapter?
    }

    private let session: Session
    var reading = AdapterReader.Options()
    private var subjects: [Subject] = []

    init(session: Session) {
        self.session = session
        reading.assumesMissing = true
        reading.digestsFiles = true
    }

    var hasWarnings: Bool { subjects.contains { $0.report.verdict == .warnings } }

    func inspect(_ subject: String) {
        do {
            if let rows = try session.catalogued(subject) {
                for row in rows { try inspectStored(row) }
            } else {
                let path = subject.hasPrefix("path:") ? String(subject.dropFirst(5)) : subject
                for location in try AdapterLocation.discover(at: path) { inspect(location) }
            }
        } catch {
            let failure = Program.failure(from: error)
            let finding = Finding(
                code: failure.code.name, level: .error, place: failure.place ?? "", details: failure.message)
            subjects.append(Subject(name: subject, report: .init(findings: [finding], modules: [], failure: failure)))
        }
    }

    private func inspect(_ location: AdapterLocation) {
        let (report, adapter) = Inspector.inspect(location, reading: reading, options: inspection)
        subjects.append(Subject(name: location.path, report: report, adapter: adapter))
    }

    private func inspectStored(_ row: AdapterRow) throws {
        let adapter = try session.bank().adapter(of: row)
        subjects.append(
            Subject(name: row.reference, report: Inspector.inspect(adapter, options: inspection), adapter: adapter))
    }

    private var inspection: Inspector.Options {
        var options = Inspector.Options()
        options.threads = session.threads
        return options
    }

    /// Refusals go to stderr after the reports, and decide the status.
    func reportRefusals() {
        for subject in subjects {
            if let failure = subject.report.failure { session.report(failure.at(path: subject.name)) }
        }
    }

    var document: JSONValue {
        .document("inspect", [.init("reports", .array(subjects.map(json)))])
    }

    private func json(_ subject: Subject) -> JSONValue {
        let adapter = subject.adapter
        return .object([
            .init("subject", .string(subject.name)), .init("verdict", .string(subject.report.verdict.rawValue)),
            .init("format", .optional(adapter?.format)), .init("base_model", .optional(adapter?.base.name)),
            .init("rank_min", .optional(adapter?.rankMin)), .init("rank_max", .optional(adapter?.rankMax)),
            .init("parameters", .optional(adapter?.parameterCount)),
            .init("findings", .array(subject.report.findings.map(AdapterDocument.finding))),
            .init("modules", .array(subject.report.modules.map(InspectionDocument.module))),
            .init("error", subject.report.failure.map(AdapterDocument.failure) ?? .null),
        ])
    }

    func text(modules: Bool) -> String {
        subjects.map { subject in
            var text = "\(session.shown(subject.name)): \(verdict(subject.report.verdict))\n"
            if let adapter = subject.adapter {
                let base = adapter.base.name.isEmpty ? "unknown" : session.shown(adapter.base.name)
                text +=
                    "  \(adapter.format), \(adapter.modules.count) modules, rank \(AdapterTable.rank(adapter.rankMin, adapter.rankMax)), "
                text += "\(Quantities.count(adapter.parameterCount)) parameters, base \(base)\n"
            }
            for finding in subject.report.findings { text += FindingText.line(finding, colours: session.colours) }
            if modules, !subject.report.modules.isEmpty {
                text += session.rendered(InspectionDocument.table(subject.report.modules))
            }
            return text
        }.joined()
    }

    private func verdict(_ verdict: InspectionReport.Verdict) -> String {
        switch verdict {
        case .clean: session.colours.green("clean")
        case .warnings: session.colours.yellow("warnings")
        case .refused: session.colours.red("refused")
        }
    }
}
