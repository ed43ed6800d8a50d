import Diagnostics
import Foundation
import GRDB
import Glibc
import WeightFiles

/// What `gc` removed.
public struct GarbageReport: Sendable, Hashable {
    /// Unused objects moved to the trash.
    public var objects = 0
    /// Workspaces of processes that ended.
    public var workspaces = 0
    /// Objects deleted from the trash.
    public var pruned = 0
    /// Bytes of all of them.
    public var bytes = 0
}

extension Bank {
    /// Seconds that an object without a row is left alone.
    static let graceSeconds = 3_600

    /// Moves objects without a row that are older than an hour to the trash and removes workspaces of dead processes.
    ///
    /// - Parameters:
    ///   - prune: also empties the trash; removals before cannot be undone afterwards.
    ///   - dryRun: only counts.
    /// - Throws: `bank.locked` while another process is storing something, `bank.read_only`.
    public func collectGarbage(prune: Bool = false, dryRun: Bool = false) throws -> GarbageReport {
        try requireWritable()
        let lock = try FileLock.acquire(layout.lock, .exclusive, timeout: lockTimeout)
        defer { lock.release() }
        var report = GarbageReport()
        try sweepObjects(&report, dryRun: dryRun)
        try sweepWorkspaces(&report, dryRun: dryRun)
        if prune { try emptyTrash(&report, dryRun: dryRun) }
        if !dryRun, report != GarbageReport() {
            try change { change in
                _ = try change.record(
                    "gc", subject: "",
                    details: [
                        "objects": String(report.objects), "pruned": String(report.pruned),
                        "workspaces": String(report.workspaces),
                    ])
            }
        }
        return report
    }

    private func sweepObjects(_ report: inout GarbageReport, dryRun: Bool) throws {
        let now = Int(time(nil))
        for item in try store.inventory().objects where now - item.modified > Bank.graceSeconds {
            guard try !catalogue.read({ db in try CatalogueChange.isInUse(item.object, db) }) else { continue }
            if !dryRun { try store.discard(item.object) }
            report.objects += 1
            report.bytes += item.size
        }
    }

    private func sweepWorkspaces(_ report: inout GarbageReport, dryRun: Bool) throws {
        for name in try FileCalls.names(in: layout.temporary) {
            let root = layout.temporary + "/" + name
            let size = Bank.size(below: root)
            guard try removeIfAbandoned(root, dryRun: dryRun) else { continue }
            report.workspaces += 1
            report.bytes += size
        }
    }

    /// The lock on `owner` tells whether the maker lives, not the age. A folder without `owner` has a dead maker: who
    /// makes one holds the bank's lock until `owner` is locked.
    private func removeIfAbandoned(_ root: String, dryRun: Bool) throws -> Bool {
        let descriptor = Glibc.open(root + "/owner", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        if descriptor >= 0 {
            guard let lock = FileLock.tryExclusive(descriptor: descriptor) else {
                Glibc.close(descriptor)
                return false
            }
            defer { lock.release() }
            if !dryRun { try FileCalls.removeTree(root) }
            return true
        }
        guard errno == ENOENT || errno == ENOTDIR else { return false }
        if !dryRun {
            if FileCalls.facts(root)?.isFolder == true {
                try FileCalls.removeTree(root)
            } else {
                try FileCalls.removeFile(root)
            }
        }
        return true
    }

    private func emptyTrash(_ report: inout GarbageReport, dryRun: Bool) throws {
        for name in try FileCalls.names(in: layout.trash) {
            let path = layout.trash + "/" + name
            report.pruned += 1
            report.bytes += FileCalls.facts(path)?.size ?? 0
            if !dryRun { try FileCalls.removeFile(path) }
        }
        if !dryRun { try DurableFiles.syncFolder(layout.trash) }
    }

    private static func size(below path: String) -> Int {
        guard let facts = FileCalls.facts(path) else { return 0 }
        guard facts.isFolder else { return facts.size }
        let names = (try? FileCalls.names(in: path)) ?? []
        return names.reduce(0) { $0 + size(below: path + "/" + $1) }
    }
}
