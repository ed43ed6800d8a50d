import Diagnostics
import Foundation

/// Turns `errno` of a file-system call into a `Failure`.
enum SystemError {
    /// - Parameters:
    ///   - action: completes "cannot …", e.g. `create the file`.
    ///   - needed: bytes that the output needs, named when the disk is full.
    static func failure(_ action: String, path: String, error: Int32 = errno, needed: Int? = nil) -> Failure {
        let reason = String(cString: strerror(error))
        switch error {
        case ENOENT, ENOTDIR: return Failure(.ioNotFound, "cannot \(action): \(reason)", path: path)
        case ELOOP: return Failure(.pathSymlink, "a symbolic link stands where a file is expected", path: path)
        case EEXIST, ENOTEMPTY:
            return Failure(.outputExists, "cannot \(action): it exists already", path: path, hint: overwriteHint)
        case ENOSPC, EDQUOT, EFBIG: return noSpace(action, path: path, reason: reason, needed: needed)
        case EROFS: return Failure(.ioFailed, "cannot \(action): the file system is read-only", path: path)
        default: return Failure(.ioFailed, "cannot \(action): \(reason)", path: path)
        }
    }

    static let overwriteHint = "choose another path, or allow overwriting with --force"

    private static func noSpace(_ action: String, path: String, reason: String, needed: Int?) -> Failure {
        let free = freeBytes(near: path)
        var message = "cannot \(action): \(reason)"
        var details: [String: String] = [:]
        if let needed {
            message += "; \(needed) bytes are needed"
            details["needed_bytes"] = String(needed)
        }
        if let free {
            message += "\(needed == nil ? ";" : ",") \(free) are free"
            details["free_bytes"] = String(free)
        }
        return Failure(
            .ioNoSpace, message, path: path, hint: "make room, or choose a path on another disk", details: details)
    }

    /// Bytes that an ordinary user can still write to the file system of `path` or of its folder.
    static func freeBytes(near path: String) -> Int? {
        var status = statvfs()
        for candidate in [path, PathParts(path).folder] where statvfs(candidate, &status) == 0 {
            return Int(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
        }
        return nil
    }
}

/// A path split at its last slash.
struct PathParts {
    /// `.` when the path has no slash.
    var folder: String
    var name: String

    init(_ path: String) {
        var trimmed = Substring(path)
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else {
            folder = "."
            name = String(trimmed)
            return
        }
        name = String(trimmed[trimmed.index(after: slash)...])
        folder = slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }
}
