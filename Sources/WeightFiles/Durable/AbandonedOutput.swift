import CArchive
import Foundation
import Synchronization

/// Temporary files and folders that a killed process left beside its target, `.<name>.lorabank-<uuid>`.
///
/// Who makes one holds a lock on it for as long as it has its temporary name; the system drops the lock with the
/// process. What nobody has locked is removed by the next output for the same target.
public enum AbandonedOutput {
    /// Removes what earlier processes left behind for the target `path`. What cannot be removed stays.
    public static func remove(for path: String) {
        let parts = PathParts(path)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parts.folder)) ?? []
        for name in names where isTemporary(name, of: DurableFiles.stemName(parts.name)) {
            let path = "\(parts.folder)/\(name)"
            let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    /// Locks what was just created.
    ///
    /// - Returns: false when somebody who took it for abandoned removed it in between.
    static func claim(_ descriptor: Int32, path: String) -> Bool {
        // A file system without locks: nobody else gets one either, and nothing is removed.
        guard flock(descriptor, LOCK_EX) == 0 else { return true }
        var own = stat()
        var named = stat()
        return fstat(descriptor, &own) == 0 && lstat(path, &named) == 0 && own.st_ino == named.st_ino
    }

    /// True for the temporary names of `target`, and for temporary names of those.
    static func isTemporary(_ name: String, of target: String) -> Bool {
        guard name.hasPrefix("."), let mark = name.range(of: ".lorabank-", options: .backwards),
            UUID(uuidString: String(name[mark.upperBound...])) != nil
        else { return false }
        let stem = String(name[name.index(after: name.startIndex)..<mark.lowerBound])
        return stem == target || isTemporary(stem, of: target)
    }
}

/// The locks on the temporary folders of this process, by their paths.
final class FolderClaims: Sendable {
    static let shared = FolderClaims()

    private let descriptors = Mutex<[String: Int32]>([:])

    /// Locks a folder that was just created; see ``AbandonedOutput/claim(_:path:)``.
    func add(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return DurableFiles.exists(path) }
        guard AbandonedOutput.claim(descriptor, path: path) else {
            close(descriptor)
            return false
        }
        descriptors.withLock { $0[path] = descriptor }
        return true
    }

    /// A folder got another name: its lock is kept where that is a temporary one of this process too.
    func move(from source: String, to target: String) {
        descriptors.withLock { descriptors in
            guard let descriptor = descriptors.removeValue(forKey: source) else { return }
            close(descriptors[target] == nil ? descriptor : descriptors.updateValue(descriptor, forKey: target) ?? -1)
        }
    }

    func remove(_ path: String) {
        if let descriptor = descriptors.withLock({ $0.removeValue(forKey: path) }) { close(descriptor) }
    }
}
