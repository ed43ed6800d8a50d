import Diagnostics
import Digests

/// One regular file of a foreign archive.
public struct ArchiveMember: Hashable, Sendable {
    /// The name in the archive after `.` components and doubled slashes were dropped: relative, `/` between parts.
    /// It is data, never a path to write to.
    public let name: String
    /// Unpacked bytes.
    public let size: Int
    public let digest: SHA256Digest
    /// Where the content was written; nil when the caller did not want it.
    public let storedAt: String?
}

/// What reading an archive to its end gave.
public struct ArchiveListing: Sendable {
    /// Regular files in the order of the archive.
    public let members: [ArchiveMember]
    /// `file.mode_dropped` for members with set-id or execute bits.
    public let findings: [Finding]
}

/// How much an archive may hold. The defaults are those of `docs/formats.md`.
public struct ArchiveLimits: Hashable, Sendable {
    /// Files and folders.
    public var members = 10_000
    /// Unpacked bytes.
    public var unpackedBytes = 64 << 30
    /// Unpacked bytes from which on the ratio counts.
    public var bombBytes = 16 << 20
    /// Largest number of unpacked bytes for each packed byte.
    public var bombRatio = 200
    /// Bytes of a name.
    public var nameBytes = 1_024
    /// Parts of a name.
    public var nameComponents = 32
    /// Bytes of one part of a name.
    public var componentBytes = 255

    public init() {}
}
