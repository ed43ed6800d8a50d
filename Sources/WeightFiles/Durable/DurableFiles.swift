import CArchive
import Diagnostics
import Foundation

/// The few file-system steps that durable output is made of. `AtomicFile` and `AtomicFolder` combine them.
public enum DurableFiles {
    /// Renames `source` to `target` when nothing stands at `target`, in one step.
    ///
    /// - Throws: `output.exists` when something is there, `io.*`.
    public static func move(from source: String, toNew target: String) throws {
        let noReplace: UInt32 = 1
        guard renameat2(AT_FDCWD, source, AT_FDCWD, target, noReplace) != 0 else {
            FaultPoint.pass("rename")
            return
        }
        guard [EINVAL, ENOSYS, ENOTSUP].contains(errno) else { throw SystemError.failure("rename to it", path: target) }
        // The file system cannot rename without replacing. A hard link cannot replace either.
        if link(source, target) == 0 {
            FaultPoint.pass("link")
            unlink(source)
            FaultPoint.pass("unlink")
            return
        }
        guard [EPERM, ENOTSUP].contains(errno) else { throw SystemError.failure("link to it", path: target) }
        var status = stat()
        guard lstat(target, &status) != 0 else {
            throw SystemError.failure("rename to it", path: target, error: EEXIST)
        }
        try move(from: source, replacing: target)
    }

    /// Renames `source` to `target`, replacing a file, or an empty folder by a folder, in one step.
    public static func move(from source: String, replacing target: String) throws {
        guard rename(source, target) == 0 else { throw SystemError.failure("rename to it", path: target) }
        FaultPoint.pass("rename")
    }

    /// Makes names that were created, renamed or removed in `folder` survive a power failure.
    public static func syncFolder(_ folder: String) throws {
        try sync(folder, flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    /// Makes the content of the file at `path` survive a power failure.
    public static func syncFile(_ path: String) throws {
        try sync(path, flags: O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    }

    private static func sync(_ path: String, flags: Int32) throws {
        let descriptor = open(path, flags)
        guard descriptor >= 0 else { throw SystemError.failure("open", path: path) }
        defer { close(descriptor) }
        // EINVAL: this kind of file has nothing to synchronise on this file system.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw SystemError.failure("synchronise", path: path) }
        FaultPoint.pass("fsync")
    }

    /// Creates `path` and the folders above it that are missing, each synchronised with its parent.
    public static func createFolders(_ path: String, mode: mode_t = 0o755) throws {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & 0o170000 == 0o040000 else {
                throw Failure(.outputExists, "a file stands where a folder is needed", path: path)
            }
            return
        }
        let parts = PathParts(path)
        try createFolders(parts.folder, mode: mode)
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw SystemError.failure("create the folder", path: path)
        }
        FaultPoint.pass("mkdir")
        try syncFolder(parts.folder)
    }

    /// A hidden sibling of `path` for unfinished output: `.<name>.lorabank-<uuid>`.
    static func temporarySibling(of path: String) -> String {
        let parts = PathParts(path)
        return "\(parts.folder)/.\(stemName(parts.name)).lorabank-\(UUID().uuidString.lowercased())"
    }

    /// A target's name as its temporary siblings carry it: a component holds 255 bytes at most.
    static func stemName(_ name: String) -> String { String(decoding: name.utf8.prefix(180), as: UTF8.self) }

    /// True when something, even a dangling link, has this name.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }
}
