import CArchive
import Diagnostics
import Digests
import Foundation

/// Writes the bank's container: an uncompressed ustar archive whose bytes depend on names and contents only.
///
/// Time 0, owner and group 0, mode 0644, blocks of 512 bytes, members in the order given. A member's content begins at
/// a multiple of 512 bytes, so it can be read in place (`BankArchiveReader`).
public enum BankArchiveWriter {
    public struct Member: Sendable {
        public enum Content: Sendable {
            case bytes([UInt8])
            case mapped(MappedBytes)
        }

        /// Printable ASCII without backslash, at most 100 characters, relative, without `..`.
        public var name: String
        public var content: Content

        public init(_ name: String, _ bytes: [UInt8]) {
            self.name = name
            content = .bytes(bytes)
        }

        public init(_ name: String, _ mapped: MappedBytes) {
            self.name = name
            content = .mapped(mapped)
        }

        /// A file on disk; it is mapped, not read.
        public init(_ name: String, path: String) throws {
            self.init(name, try MappedBytes(path: path, followLinks: false))
        }

        public var size: Int {
            switch content {
            case .bytes(let bytes): bytes.count
            case .mapped(let mapped): mapped.count
            }
        }
    }

    public struct Result: Hashable, Sendable {
        /// SHA-256 of the archive's bytes: its name in the bank.
        public let digest: SHA256Digest
        public let size: Int
    }

    /// Writes an archive to a file that is not yet visible; the caller commits it.
    ///
    /// - Throws: `path.bad_name`, `path.duplicate`, `io.too_large` for a member of 8 GiB or more, `io.*`.
    public static func write(_ members: [Member], to file: AtomicFile) throws -> Result {
        throw Failure(.internalDefect, "not available", path: file.path)
    }

    /// Writes an archive to a new file at `path` and makes it durable.
    public static func write(_ members: [Member], to path: String) throws -> Result {
        let file = try AtomicFile(path: path)
        let result = try write(members, to: file)
        try file.commit()
        return result
    }
}
