import Foundation
import Synchronization

/// Files and folders that are being built under temporary names: what an interruption has to remove.
///
/// Makers add a path when they create it, and take it off when it got its final name or was removed. A program that is
/// about to end because of a signal calls ``removeAll()``. After a kill that cannot be caught they stay behind.
public enum UnfinishedPaths {
    private static let paths = Mutex<Set<String>>([])

    public static func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

    public static func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes everything that is registered. Other threads may still be writing: a folder that refuses is tried again.
    public static func removeAll() {
        for path in paths.withLock({ $0 }) {
            for _ in 0..<5 where (try? FileManager.default.removeItem(atPath: path)) == nil {
                if !FileManager.default.fileExists(atPath: path) { break }
            }
        }
    }
}
