import Diagnostics
import Foundation
import WeightFiles

/// File-system calls of the object store that `DurableFiles` has no name for.
enum FileCalls {
    struct Facts {
        var size: Int
        /// Seconds since 1970.
        var modified: Int
        var isRegular: Bool
        var isFolder: Bool
    }

    /// What stands at `path` (links not followed); nil when there is nothing.
    static func facts(_ path: String) -> Facts? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        let type = status.st_mode & 0o170000
        return Facts(
            size: Int(status.st_size), modified: Int(status.st_mtim.tv_sec), isRegular: type == 0o100000,
            isFolder: type == 0o040000)
    }

    /// Names in a folder, sorted by bytes; empty when the folder is missing.
    static func names(in folder: String) throws -> [String] {
        guard let stream = opendir(folder) else {
            if errno == ENOENT { return [] }
            throw failure("list the folder", path: folder)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    static func makeFolder(_ path: String, mode: mode_t) throws {
        guard mkdir(path, mode) == 0 else { throw failure("create the folder", path: path) }
        FaultPoint.pass("mkdir")
    }

    static func removeFile(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove the file", path: path) }
        FaultPoint.pass("unlink")
    }

    /// Removes a folder with everything below it; links are removed, not followed.
    static func removeTree(_ folder: String) throws {
        for name in try names(in: folder) {
            let path = folder + "/" + name
            if facts(path)?.isFolder == true { try removeTree(path) } else { try removeFile(path) }
        }
        guard rmdir(folder) == 0 || errno == ENOENT else { throw failure("remove the folder", path: folder) }
        FaultPoint.pass("rmdir")
    }

    /// Whether new files can be made in `folder`.
    static func isWritable(_ folder: String) -> Bool { access(folder, W_OK | X_OK) == 0 }

    static func isWritable(file path: String) -> Bool { access(path, W_OK) == 0 }

    /// A path that does not depend on the working folder.
    static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }

    static func failure(_ action: String, path: String, error: Int32 = errno) -> Failure {
        let reason = String(cString: strerror(error))
        switch error {
        case ENOENT, ENOTDIR: return Failure(.ioNotFound, "cannot \(action): \(reason)", path: path)
        case EROFS: return Failure(.bankReadOnly, "cannot \(action): the file system is read-only", path: path)
        case ENOSPC, EDQUOT: return Failure(.ioNoSpace, "cannot \(action): \(reason)", path: path)
        default: return Failure(.ioFailed, "cannot \(action): \(reason)", path: path)
        }
    }
}
