import Diagnostics
import Governance

extension Bank {
    /// Applies the policy to adapters that are about to be merged, exported or trained with.
    ///
    /// - Parameters:
    ///   - purpose: `merge`, `export`, …; goes into the audit log.
    ///   - allowUnapproved: lets pending adapters pass under the policy `strict`; that is recorded, one row each.
    /// - Throws: `policy.not_approved`, `policy.revoked`; `bank.read_only` where the use cannot be recorded.
    func authoriseUse(of rows: [AdapterRow], for purpose: String, allowUnapproved: Bool) throws {
        for row in rows {
            let refusal = policy.refusal(of: row.reference, state: row.state, allowUnapproved: allowUnapproved)
            if let refusal { throw refusal }
        }
        let unapproved = rows.filter { policy.refusal(of: $0.reference, state: $0.state) != nil }
        guard !unapproved.isEmpty else { return }
        try change { change in
            for row in unapproved {
                try change.record(
                    "use_unapproved", subject: row.reference, details: ["object": row.object, "purpose": purpose])
            }
        }
    }
}
