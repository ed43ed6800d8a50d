import Diagnostics
import GRDB

extension Bank {
    /// Stores measured values of an adapter.
    ///
    /// - Throws: `reference.*`, `bank.read_only`, `bank.locked`, `usage.bad_argument` for a value that is not finite.
    public func record(_ metrics: [Metric], for reference: String) throws {
        if let odd = metrics.first(where: { !$0.value.isFinite }) {
            throw Failure(.usageBadArgument, "the metric '\(odd.name)' is not a finite number")
        }
        guard !metrics.isEmpty else { return }
        try change { change in
            let row = try ReferenceResolver(db: change.db).row(for: reference)
            for metric in metrics { try metric.insert(for: row.id, at: change.at, change.db) }
            let names = Set(metrics.map(\.name)).sorted().joined(separator: " ")
            let data = Set(metrics.map { "\($0.dataset)/\($0.split)" }).sorted().joined(separator: " ")
            try change.record(
                "metric", subject: row.reference,
                details: ["count": String(metrics.count), "data": data, "names": names])
        }
    }

    /// Measured values of one adapter, newest first.
    public func metrics(of reference: String) throws -> [Metric] {
        try catalogue.read { db in try Metric.of(ReferenceResolver(db: db).row(for: reference).id, db) }
    }

    /// Parents of one adapter, then its children.
    public func lineage(of reference: String) throws -> [LineageEdge] {
        try catalogue.read { db in try Lineage.edges(of: ReferenceResolver(db: db).row(for: reference).id, db) }
    }

    /// Everything made from an adapter, directly or not, sorted by (name, version).
    public func descendants(of reference: String) throws -> [AdapterRow] {
        try catalogue.read { db in
            try Lineage.descendants(of: ReferenceResolver(db: db).rows(for: reference).map(\.id), db)
        }
    }
}
