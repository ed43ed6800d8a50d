import Diagnostics
import GRDB
import Governance

extension Bank {
    /// Approves pending adapters. With `required` above 1 in the policy, the state changes with the last approval.
    ///
    /// - Throws: `reference.*`, `state.not_allowed`, `policy.not_approved` when the policy forbids the actor to do so,
    ///   `usage.bad_argument` for an empty reason.
    @discardableResult
    public func approve(_ reference: String, reason: String, batch: String? = nil) throws -> [AdapterRow] {
        try decide(.approve, reference, reason: reason, batch: batch)
    }

    /// Rejects pending adapters.
    ///
    /// - Throws: as ``approve(_:reason:batch:)``.
    @discardableResult
    public func reject(_ reference: String, reason: String, batch: String? = nil) throws -> [AdapterRow] {
        try decide(.reject, reference, reason: reason, batch: batch)
    }

    /// Makes rejected adapters pending again.
    ///
    /// - Throws: as ``approve(_:reason:batch:)``.
    @discardableResult
    public func reopen(_ reference: String, reason: String, batch: String? = nil) throws -> [AdapterRow] {
        try decide(.reopen, reference, reason: reason, batch: batch)
    }

    /// Withdraws the approval of adapters. Final: `undo` does not take it back.
    ///
    /// - Parameter cascade: also revokes approved descendants and rejects pending ones.
    /// - Returns: the rows that changed, and the descendants that did not, sorted by (name, version).
    /// - Throws: as ``approve(_:reason:batch:)``.
    @discardableResult
    public func revoke(
        _ reference: String, reason: String, cascade: Bool = false, batch: String? = nil
    ) throws -> (changed: [AdapterRow], descendants: [AdapterRow]) {
        try change(batch: batch) { change in
            var changed = try ReferenceResolver(db: change.db).rows(for: reference)
            for row in changed { try change.decide(.revoke, row, reason: reason, policy: policy) }
            var descendants = try Lineage.descendants(of: changed.map(\.id), change.db)
            if cascade {
                let open = descendants.filter { $0.state == .approved || $0.state == .pending }
                let origin = changed.map(\.reference).joined(separator: ", ")
                for row in open {
                    let decision: ApprovalDecision = row.state == .approved ? .revoke : .reject
                    let text = "\(reason) (made from \(origin))"
                    try change.decide(decision, row, reason: text, policy: policy)
                }
                changed += open
                descendants.removeAll { row in open.contains { $0.id == row.id } }
            }
            return (try changed.compactMap { try AdapterRow.fetch(change.db, id: $0.id) }, descendants)
        }
    }

    private func decide(
        _ decision: ApprovalDecision, _ reference: String, reason: String, batch: String?
    ) throws -> [AdapterRow] {
        try edit(reference, batch: batch) { change, row in
            try change.decide(decision, row, reason: reason, policy: policy)
        }
    }
}

extension CatalogueChange {
    /// Takes one decision about one adapter: row of `approval`, state, audit row.
    func decide(_ decision: ApprovalDecision, _ row: AdapterRow, reason: String, policy: Policy) throws {
        guard !reason.isEmpty, reason.utf8.count <= 64 << 10 else {
            throw Failure(.usageBadArgument, "a decision needs a reason", hint: "--reason \"…\"")
        }
        let next = try decision.applied(to: row.state, subject: row.reference)
        try policy.authorise(
            decision, by: actor, importer: row.createdBy, findings: Findings.of(row.id, db), subject: row.reference)
        try db.execute(
            sql: """
                INSERT INTO approval (adapter_id, object, decision, actor, reason, policy, at) VALUES (?,?,?,?,?,?,?)
                """,
            arguments: [row.id, row.object, decision.rawValue, actor, reason, policy.canonicalText, at])
        let approval = db.lastInsertedRowID
        let isLast = try decision != .approve || approvers(of: row.id) >= policy.required
        if isLast {
            try db.execute(sql: "UPDATE adapter SET state = ? WHERE id = ?", arguments: [next.rawValue, row.id])
        }
        let state = isLast ? next : row.state
        try record(
            decision.rawValue, subject: row.reference,
            details: ["object": row.object, "reason": reason, "state": state.rawValue],
            undo: decision == .revoke ? [] : [.setState(adapter: row.id, state: row.state, approval: approval)])
    }

    /// How many people approved since the adapter was last re-opened.
    private func approvers(of adapter: Int64) throws -> Int {
        try Int.fetchOne(
            db,
            sql: """
                SELECT count(DISTINCT actor) FROM approval
                WHERE adapter_id = ?1 AND decision = 'approve' AND undone = 0 AND id > coalesce(
                  (SELECT max(id) FROM approval WHERE adapter_id = ?1 AND decision = 'reopen' AND undone = 0), 0)
                """, arguments: [adapter]) ?? 0
    }
}
