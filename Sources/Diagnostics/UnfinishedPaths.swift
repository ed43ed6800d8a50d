import Foundation
import Synchronization

/// Files and folders that are being built under temporary names: what an interruption has to remove.
///
/// Makers add a path when they create it, and take it off when it got its final name or was removed. A program that is
/// about to end because of a signal calls ``removeAll()``. After a kill that cannot be caught they stay behind.
public final class UnfinishedPaths: Sendable {
    /// Those of the process.
    public static let shared = UnfinishedPaths()

    private let paths = Mutex<Set<String>>([])

    init() {}

    public func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

    public func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes everything that is registered. Other threads may still be writing: a folder that refuses is tried again.
    public func removeAll() {
        for path in paths.withLock({ $0 }) {
            for _ in 0..<5 where (try? FileManager.default.removeItem(atPath: path)) == nil {
                if !FileManager.default.fileExists(atPath: path) { break }
            }
        }
    }
}
