import Diagnostics

extension Bank {
    /// Sets tags on every adapter that the reference names. Returns the rows afterwards.
    @discardableResult
    public func tag(_ reference: String, _ tags: [Tag], batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Removes tags; a filter without a value removes every value of the key.
    ///
    /// - Throws: `reference.not_found` when no adapter had any of them.
    @discardableResult
    public func untag(_ reference: String, _ tags: [TagFilter], batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Adds a remark.
    @discardableResult
    public func note(_ reference: String, _ text: String, batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Lets `name:alias` mean the version that the reference names; moves the alias when it exists.
    @discardableResult
    public func alias(_ reference: String, _ alias: String, batch: String? = nil) throws -> AdapterRow {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Removes the alias `name:alias`.
    @discardableResult
    public func unalias(_ reference: String, batch: String? = nil) throws -> AdapterRow {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Takes adapters out of the catalogue; an object that no other adapter uses moves to `trash/` until `gc --prune`.
    @discardableResult
    public func remove(_ reference: String, batch: String? = nil) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Reverts the newest batch of changes that was not reverted yet.
    ///
    /// - Returns: what was reverted, newest first; empty when there is nothing to revert.
    /// - Throws: `state.not_allowed` when the newest change cannot be reverted (a revocation, a pruned object).
    public func undo() throws -> [UndoneOperation] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}

/// An operation that `undo` reverted.
public struct UndoneOperation: Sendable, Hashable {
    /// `tag`, `rm`, `approve`, ….
    public var action: String
    /// `name@version`.
    public var subject: String
    /// When it was done; RFC 3339, UTC.
    public var at: String
}
