import Diagnostics
import Digests
import Tensors

/// The bytes of one file in memory: a whole mapped file, or a member of an archive in place.
public struct MappedBytes: Sendable {
    public let file: MappedFile
    /// The part of `file.bytes` that is meant; always inside it.
    public let range: Range<Int>
    /// The name for errors: a path, or `archive.tar:member`.
    public let path: String

    /// The whole of `file`.
    public init(_ file: MappedFile) {
        self.file = file
        range = 0..<file.bytes.count
        path = file.path
    }

    /// A part of `file`.
    ///
    /// - Throws: `io.failed` when `range` leaves the file.
    public init(_ file: MappedFile, range: Range<Int>, path: String) throws {
        guard range.lowerBound >= 0, range.upperBound <= file.bytes.count else {
            throw Failure(
                .ioFailed, "bytes \(range.lowerBound)..<\(range.upperBound) lie outside the file of "
                    + "\(file.bytes.count) bytes", path: path)
        }
        self.file = file
        self.range = range
        self.path = path
    }

    /// Maps the file at `path`; see `MappedFile` for errors.
    public init(path: String, followLinks: Bool = true) throws {
        self.init(try MappedFile(path: path, followLinks: followLinks))
    }

    public var count: Int { range.count }

    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

    /// SHA-256 of the bytes. Reads all of them, and gives the pages back as it goes.
    public func digest() -> SHA256Digest {
        var hasher = SHA256Hasher()
        let step = 8 << 20
        var start = range.lowerBound
        while start < range.upperBound {
            let piece = start..<min(start + step, range.upperBound)
            hasher.update(UnsafeRawBufferPointer(rebasing: file.bytes[piece]))
            file.release(piece)
            start = piece.upperBound
        }
        return hasher.finish()
    }
}
