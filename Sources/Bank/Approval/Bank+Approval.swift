import Diagnostics
import Governance

extension Bank {
    /// Approves pending adapters.
    ///
    /// - Throws: `state.not_allowed`, `policy.not_approved` when the policy forbids the actor to do so.
    @discardableResult
    public func approve(_ reference: String, reason: String, batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Rejects pending adapters.
    @discardableResult
    public func reject(_ reference: String, reason: String, batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Makes rejected adapters pending again.
    @discardableResult
    public func reopen(_ reference: String, reason: String, batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Withdraws the approval of adapters.
    ///
    /// - Parameter cascade: also revokes approved descendants and rejects pending ones.
    /// - Returns: the rows that changed, and the descendants that did not.
    @discardableResult
    public func revoke(
        _ reference: String, reason: String, cascade: Bool = false, batch: String? = nil
    ) throws -> (changed: [AdapterRow], descendants: [AdapterRow]) {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// The audit log from its first row, or its last `limit` rows.
    public func auditLog(last limit: Int? = nil) throws -> [AuditEntry] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// The newest row, to be noted outside the bank.
    public func auditHead() throws -> AuditHead {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Recomputes the whole chain.
    ///
    /// - Parameter expected: a head that was noted earlier.
    /// - Returns: the head.
    /// - Throws: `bank.audit_chain`.
    @discardableResult
    public func verifyAudit(expecting expected: AuditHead? = nil) throws -> AuditHead {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}
