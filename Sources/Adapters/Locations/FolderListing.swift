import Diagnostics
import Foundation

/// The entries of a folder that are not hidden, sorted by name; nothing is followed or opened.
struct FolderListing {
    enum Kind: Hashable {
        case file
        case folder
        case link
        /// A pipe, socket or device.
        case special
    }

    struct Entry {
        let name: String
        let kind: Kind
        let size: Int
    }

    let entries: [Entry]

    /// - Throws: `io.not_found`, `io.failed`, `path.bad_name` for a name that is not UTF-8.
    init(_ path: String) throws {
        guard let folder = opendir(path) else {
            let reason = String(cString: strerror(errno))
            throw Failure(errno == ENOENT ? .ioNotFound : .ioFailed, "cannot open the folder: \(reason)", path: path)
        }
        defer { closedir(folder) }
        var entries: [Entry] = []
        while let item = readdir(folder) {
            let name = withUnsafePointer(to: &item.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name else { throw Failure(.pathBadName, "a file name that is not UTF-8", path: path) }
            guard !name.hasPrefix("."), let status = FolderListing.status(of: path + "/" + name) else { continue }
            entries.append(Entry(name: name, kind: status.kind, size: status.size))
        }
        self.entries = entries.sorted { Adapter.namePrecedes($0.name, $1.name) }
    }

    func contains(_ name: String) -> Bool { entries.contains { $0.name == name } }

    /// What stands at `path` itself, nil for nothing. A link counts as a link.
    static func status(of path: String) -> (kind: Kind, size: Int)? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        let kind: Kind =
            switch status.st_mode & 0o170000 {
            case 0o100000: .file
            case 0o040000: .folder
            case 0o120000: .link
            default: .special
            }
        return (kind, Int(status.st_size))
    }

    /// True for a folder, also behind a link.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o170000 == 0o040000
    }
}
