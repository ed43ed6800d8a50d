import Diagnostics
import Foundation
import Tensors

/// The bank's container in memory: an index of its members, each readable in place.
///
/// Strict: every header must be as `BankArchiveWriter` writes it, with a right checksum; the members follow one
/// another without gaps; two zero blocks end the archive and the file.
public struct BankArchiveReader: FileSource {
    public struct Member: Hashable, Sendable {
        public let name: String
        /// Bytes of the archive that hold the content.
        public let range: Range<Int>
        public var size: Int { range.count }
    }

    public let file: MappedFile
    /// In the order of the archive.
    public let members: [Member]
    private let index: [String: Int]

    public var path: String { file.path }

    /// Maps the archive and reads its headers.
    ///
    /// - Parameter damaged: the code to throw for anything that is not as it should be.
    /// - Throws: `damaged`, and what `MappedFile` throws.
    public init(path: String, damaged: ErrorCode = .bankCorrupt) throws {
        try self.init(try MappedFile(path: path, followLinks: false), damaged: damaged)
    }

    public init(_ file: MappedFile, damaged: ErrorCode = .bankCorrupt) throws {
        self.file = file
        members = try BankArchiveReader.readHeaders(file, damaged: damaged)
        var index: [String: Int] = [:]
        for (i, member) in members.enumerated() {
            guard index.updateValue(i, forKey: member.name) == nil else {
                throw Failure(damaged, "two members of one name", path: file.path, place: member.name)
            }
        }
        self.index = index
    }

    /// A header must be, byte by byte, the one that belongs to its own name and size: that covers the checksum too.
    private static func readHeaders(_ file: MappedFile, damaged: ErrorCode) throws -> [Member] {
        let bytes = file.bytes
        var members: [Member] = []
        var offset = 0
        while offset + Ustar.blockSize <= bytes.count {
            let block = bytes[offset..<offset + Ustar.blockSize]
            if block.allSatisfy({ $0 == 0 }) { break }
            let name = String(decoding: block.prefix(Ustar.maximumNameLength).prefix { $0 != 0 }, as: UTF8.self)
            guard Ustar.isValidName(name), let size = Ustar.number(block[offset + 124..<offset + 135]),
                block.elementsEqual(Ustar.header(name: name, size: size))
            else { throw Failure(damaged, "no header of a member at byte \(offset)", path: file.path) }
            let start = offset + Ustar.blockSize
            guard Ustar.paddedSize(size) <= bytes.count - start else {
                throw Failure(
                    damaged, "the archive ends inside a member of \(size) bytes", path: file.path, place: name)
            }
            members.append(Member(name: name, range: start..<start + size))
            offset = start + Ustar.paddedSize(size)
            guard bytes[start + size..<offset].allSatisfy({ $0 == 0 }) else {
                throw Failure(damaged, "the padding behind the member is not zero", path: file.path, place: name)
            }
        }
        guard bytes.count - offset == 2 * Ustar.blockSize, bytes[offset...].allSatisfy({ $0 == 0 }) else {
            throw Failure(damaged, "the archive does not end with two empty blocks", path: file.path)
        }
        return members
    }

    public func member(_ name: String) -> Member? { index[name].map { members[$0] } }

    public func fileNames() -> [String] {
        members.map(\.name).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    public func contains(_ name: String) -> Bool { index[name] != nil }

    public func open(_ name: String) throws -> MappedBytes {
        guard let member = member(name) else {
            throw Failure(.ioNotFound, "the archive has no member '\(name)'", path: path)
        }
        return try MappedBytes(file, range: member.range, path: "\(path):\(name)")
    }
}
