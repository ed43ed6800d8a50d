import Diagnostics
import Digests
import Tensors

/// Writes the bank's container: an uncompressed ustar archive whose bytes depend on names and contents only.
///
/// Time 0, owner and group 0, mode 0644, blocks of 512 bytes, members in the order given. A member's content begins at
/// a multiple of 512 bytes, so it can be read in place (`BankArchiveReader`). The headers are made here rather than by
/// libarchive, so that an object's name does not depend on the version of a library.
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
        try check(members, path: file.path)
        var sink = HashingSink(file)
        for member in members {
            try sink.write(Ustar.header(name: member.name, size: member.size))
            switch member.content {
            case .bytes(let bytes): try sink.write(bytes)
            case .mapped(let mapped): try sink.write(mapped)
            }
            try sink.write([UInt8](repeating: 0, count: Ustar.paddedSize(member.size) - member.size))
        }
        try sink.write([UInt8](repeating: 0, count: 2 * Ustar.blockSize))
        return try sink.finish()
    }

    /// Writes an archive to a new file at `path` and makes it durable.
    ///
    /// - Parameter durability: `.content` where the file is moved to its place afterwards.
    public static func write(
        _ members: [Member], to path: String, durability: AtomicFile.Durability = .full
    ) throws -> Result {
        let file = try AtomicFile(path: path, expectedSize: size(of: members), durability: durability)
        let result = try write(members, to: file)
        try file.commit()
        return result
    }

    /// Bytes of the archive of these members.
    public static func size(of members: [Member]) -> Int {
        members.reduce(2 * Ustar.blockSize) { $0 + Ustar.blockSize + Ustar.paddedSize($1.size) }
    }

    private static func check(_ members: [Member], path: String) throws {
        var names: Set<String> = []
        for member in members {
            guard Ustar.isValidName(member.name) else {
                throw Failure(
                    .pathBadName, "not a name for a member of the bank's archive", path: path, place: member.name)
            }
            guard names.insert(member.name).inserted else {
                throw Failure(.pathDuplicate, "two members of one name", path: path, place: member.name)
            }
            guard member.size <= Ustar.maximumSize else {
                throw Failure(
                    .ioTooLarge, "\(member.size) bytes; a member holds at most \(Ustar.maximumSize)", path: path,
                    place: member.name)
            }
        }
    }
}

/// Hashes and buffers what goes into a file.
private struct HashingSink {
    private let file: AtomicFile
    private var hasher = SHA256Hasher()
    private var buffer: [UInt8] = []
    private var size = 0

    init(_ file: AtomicFile) {
        self.file = file
        buffer.reserveCapacity(HashingSink.capacity)
    }

    private static let capacity = 1 << 20

    mutating func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    mutating func write(_ mapped: MappedBytes) throws { try mapped.forEachPiece { try write($0) } }

    private mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        hasher.update(bytes)
        size += bytes.count
        guard buffer.count + bytes.count > HashingSink.capacity else { return buffer.append(contentsOf: bytes) }
        try flush()
        if bytes.count > HashingSink.capacity {
            try file.append(bytes)
        } else {
            buffer.append(contentsOf: bytes)
        }
    }

    mutating func finish() throws -> BankArchiveWriter.Result {
        try flush()
        return BankArchiveWriter.Result(digest: hasher.finish(), size: size)
    }

    private mutating func flush() throws {
        if !buffer.isEmpty { try file.append(buffer) }
        buffer.removeAll(keepingCapacity: true)
    }
}
