import Diagnostics
import Governance

/// What a bank holds.
public struct BankStatus: Sendable {
    public var folder: String
    public var id: String
    public var version: Int
    public var policy: Policy
    public var isReadOnly: Bool
    public var adapters: Int
    /// Different names.
    public var names: Int
    public var adaptersByState: [ApprovalState: Int]
    public var objects: Int
    public var objectBytes: Int
    public var trashBytes: Int
    public var catalogueBytes: Int
    public var auditRows: Int
}

/// What `check` found.
public struct CheckReport: Sendable {
    /// Damage, worst first; empty for a sound bank. Codes `bank.*`.
    public var problems: [Failure]
    /// Things that `gc` would clean up.
    public var notes: [String]
    public var adapters: Int
    public var objects: Int
    /// Bytes whose digest was recomputed.
    public var bytesRead: Int
    public var auditRows: Int
    public var readData: Bool
}

/// What `gc` removed.
public struct GarbageReport: Sendable, Hashable {
    public var objects: Int
    public var workspaces: Int
    /// Objects deleted from `trash/`.
    public var pruned: Int
    public var bytes: Int
}

extension Bank {
    public func status() throws -> BankStatus {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Looks for damage: catalogue, objects (presence, name, size), audit chain.
    ///
    /// - Parameter readData: also recomputes the digests of every object and of every file in it.
    public func check(readData: Bool = false, progress: any ProgressReporting = SilentProgress()) throws -> CheckReport {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Moves objects without a row that are older than an hour to the trash and removes workspaces of dead processes.
    ///
    /// - Parameters:
    ///   - prune: also empties the trash; removals before cannot be undone afterwards.
    ///   - dryRun: only counts.
    /// - Throws: `bank.locked` when another process is writing.
    public func collectGarbage(prune: Bool = false, dryRun: Bool = false) throws -> GarbageReport {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Stores measured values.
    public func record(_ metrics: [Metric], for reference: String) throws {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Measured values, newest first.
    public func metrics(of reference: String) throws -> [Metric] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Parents, then children.
    public func lineage(of reference: String) throws -> [LineageEdge] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Everything made from an adapter, directly or not, sorted by (name, version).
    public func descendants(of reference: String) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}
