import Adapters
import Bank
import Diagnostics
import Foundation
import Governance
import WeightFiles

/// `import`: every adapter below every path, one after the other.
final class ImportWork {
    private let session: Session
    private let options: ImportOptions
    private let failFast: Bool
    private let dryRun: Bool
    private var outcomes: [ImportOutcome] = []
    private var proposals: [(name: String, path: String, report: InspectionReport)] = []
    private var failures: [Failure] = []

    init(session: Session, options: ImportOptions, failFast: Bool, dryRun: Bool) {
        self.session = session
        self.options = options
        self.failFast = failFast
        self.dryRun = dryRun
    }

    var hasWarnings: Bool {
        let findings = outcomes.flatMap(\.findings) + proposals.flatMap(\.report.findings)
        return findings.contains { $0.level >= .warning }
    }

    func run(_ paths: [String]) throws {
        let locations = discover(paths)
        if options.name != nil, locations.count > 1 {
            throw Failure(
                .usageBadArgument, "--name is for one adapter, and \(locations.count) were found",
                hint: "leave --name out, or name one folder")
        }
        if locations.isEmpty { return }
        let bank = dryRun ? nil : try session.bank(writing: true)
        var options = options
        options.batch = UUID().uuidString.lowercased()
        session.progress.begin("importing", total: Int64(locations.count), unit: "adapters")
        for location in locations {
            if failFast, !failures.isEmpty { break }
            session.progress.note(location.name)
            do {
                if let bank {
                    outcomes.append(try bank.importAdapter(location, options: options))
                } else {
                    try propose(location)
                }
            } catch {
                fail(Program.failure(from: error).at(path: location.path))
            }
            session.progress.advance(by: 1)
        }
        session.progress.end()
    }

    private func discover(_ paths: [String]) -> [AdapterLocation] {
        var locations: [AdapterLocation] = []
        for path in paths where !(failFast && !failures.isEmpty) {
            let plain = path.hasPrefix("path:") ? String(path.dropFirst(5)) : path
            do {
                locations += try AdapterLocation.discover(at: plain)
            } catch {
                fail(Program.failure(from: error).at(path: plain))
            }
        }
        return locations
    }

    private func propose(_ location: AdapterLocation) throws {
        var reading = AdapterReader.Options()
        reading.alpha = options.alpha
        reading.scale = options.scale
        reading.base = options.base
        reading.trustTensors = options.trustTensors
        reading.select = options.select
        var inspection = Inspector.Options()
        inspection.threads = session.threads
        let report = Inspector.inspect(location, reading: reading, options: inspection).report
        try report.throwIfRefused()
        proposals.append((options.name ?? AdapterName.proposal(for: location), location.path, report))
    }

    private func fail(_ failure: Failure) {
        failures.append(failure)
        session.report(failure)
    }

    var document: JSONValue {
        let proposed = proposals.map { proposal in
            JSONValue.object([
                .init("name", .string(proposal.name)), .init("path", .string(proposal.path)),
                .init("findings", .array(proposal.report.findings.map(AdapterDocument.finding))),
            ])
        }
        return .document(
            "import",
            [
                .init("adapters", .array(dryRun ? proposed : outcomes.map(AdapterDocument.imported))),
                .init("errors", .array(failures.map(AdapterDocument.failure))), .init("dry_run", .bool(dryRun)),
            ])
    }

    var text: String {
        var text = ""
        for proposal in proposals {
            text += "would import '\(session.shown(proposal.name))' from \(session.shown(proposal.path))\n"
            text += findings(proposal.report.findings)
        }
        for outcome in outcomes {
            let done = outcome.alreadyPresent ? "already there" : "imported"
            text +=
                "\(done): \(session.shown(outcome.row.reference)) (\(outcome.state.rawValue), \(outcome.object.prefix(12)))\n"
            if !outcome.sameDelta.isEmpty {
                text += "  the same update as \(session.shown(outcome.sameDelta.joined(separator: ", ")))\n"
            }
            text += findings(outcome.findings)
        }
        return text
    }

    private func findings(_ findings: [Finding]) -> String {
        findings.filter { $0.level >= .warning || session.options.verbosity > 0 }
            .map { FindingText.line($0, colours: session.colours) }.joined()
    }
}
