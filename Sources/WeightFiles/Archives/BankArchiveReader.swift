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
        let members: [Member] = []
        self.members = members
        index = [:]
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
