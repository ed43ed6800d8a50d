import Diagnostics
import Digests
import Foundation
import Tensors

/// Reads an archive that came from elsewhere: tar in all dialects with at most one layer of compression, zip, and the
/// other formats of libarchive. Nothing is extracted: the content of members is streamed into files whose names the
/// program chooses.
///
/// ```swift
/// let listing = try ArchiveReader(path: "adapter.tar.gz").unpack(into: folder) { name in
///     name.hasSuffix(".json") ? "config" : nil
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
    ///   Called once per regular file, with the member's checked name and its number among the regular files.
    /// - Throws: `archive.*`, `path.*`, `io.*`.
    public func unpack(
        into folder: String, chooseName: (_ name: String, _ number: Int) throws -> String?
    ) throws -> ArchiveListing {
        throw Failure(.archiveUnknownFormat, "no format is known yet", path: content.path)
    }

    /// Reads the whole archive, checks and hashes everything, and writes nothing.
    public func list() throws -> ArchiveListing { try unpack(into: "") { _, _ in nil } }
}
