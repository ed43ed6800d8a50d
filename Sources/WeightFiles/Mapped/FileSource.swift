import Diagnostics
import Foundation
import Tensors

/// The files of one adapter or checkpoint, wherever they are: a folder, or the bank's archive.
public protocol FileSource: Sendable {
    /// What errors call the whole: the path of the folder or archive.
    var path: String { get }

    /// Names of the regular files at the top level, sorted by bytes.
    func fileNames() throws -> [String]

    /// True when an entry of this name exists, whatever its type.
    func contains(_ name: String) -> Bool

    /// The content of one file.
    ///
    /// - Parameter name: a plain name without a slash.
    /// - Throws: `io.not_found`, `path.symlink`, `path.special_file`, `io.failed`.
    func open(_ name: String) throws -> MappedBytes
}

/// A folder on disk.
public struct FolderSource: FileSource {
    public let path: String
    /// Whether files may be symbolic links. Foreign input: no. The user's own base models: yes.
    public let followLinks: Bool

    public init(path: String, followLinks: Bool = false) {
        self.path = path
        self.followLinks = followLinks
    }

    public func fileNames() throws -> [String] {
        guard let folder = opendir(path) else { throw SystemError.failure("open the folder", path: path) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if isRegular(name) { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    public func contains(_ name: String) -> Bool {
        var status = stat()
        return lstat(path + "/" + name, &status) == 0
    }

    public func open(_ name: String) throws -> MappedBytes {
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")),
            !name.utf8.contains(0)
        else { throw Failure(.pathBadName, "not a plain file name", path: path, place: name) }
        return try MappedBytes(path: path + "/" + name, followLinks: followLinks)
    }

    private func isRegular(_ name: String) -> Bool {
        var status = stat()
        let file = path + "/" + name
        guard (followLinks ? stat(file, &status) : lstat(file, &status)) == 0 else { return false }
        return status.st_mode & 0o170000 == 0o100000
    }
}
