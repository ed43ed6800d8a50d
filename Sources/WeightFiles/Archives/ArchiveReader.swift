import Diagnostics
import Tensors

/// Reads an archive that came from elsewhere: tar in all dialects with at most one layer of compression, zip, and the
/// other formats of libarchive. Nothing is extracted: the content of members is streamed into files whose names the
/// program chooses.
///
/// ```swift
/// let listing = try ArchiveReader(path: "adapter.tar.gz").unpack(into: folder) { name, number in
///     "member-\(number)"
/// }
/// ```
/// The first error in the order of the archive is thrown; what is unsafe is refused before what is damaged when both
/// are seen at the same place. Files written until then remain in the folder: the caller owns and removes it.
public struct ArchiveReader: Sendable {
    public let content: MappedBytes
    public let limits: ArchiveLimits

    /// - Throws: what `MappedFile` throws.
    public init(path: String, followLinks: Bool = false, limits: ArchiveLimits = ArchiveLimits()) throws {
        self.init(try MappedBytes(path: path, followLinks: followLinks), limits: limits)
    }

    public init(_ content: MappedBytes, limits: ArchiveLimits = ArchiveLimits()) {
        self.content = content
        self.limits = limits
    }

    /// Reads the whole archive and writes members into `folder`.
    ///
    /// - Parameter chooseName: gives the plain file name under which a member is stored, nil to read and hash it only.
    ///   Called once per regular file, with the member's checked name and its number among the regular files (from 0).
    /// - Throws: `archive.*`, `path.*`, `io.*`.
    public func unpack(
        into folder: String, chooseName: (_ name: String, _ number: Int) throws -> String?
    ) throws -> ArchiveListing {
        try UTF8Locale.run {
            var walk = ArchiveWalk(folder: folder, limits: limits, path: content.path)
            let kind = FileKind.sniff(content.bytes)
            if content.count == 0 {
                throw Failure(.archiveEmpty, "the file is empty", path: content.path)
            } else if kind == .zip || kind == .pickleZip {
                try walk.readZip(content, chooseName)
            } else if let compression = Compression(content.bytes) {
                try walk.readCompressed(content, compression, chooseName)
            } else {
                try walk.readPlain(content, chooseName)
            }
            return try walk.listing()
        }
    }

    /// Reads the whole archive, checks and hashes everything, and writes nothing.
    public func list() throws -> ArchiveListing { try unpack(into: "") { _, _ in nil } }
}
