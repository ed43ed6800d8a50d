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
                .ioFailed,
                "bytes \(range.lowerBound)..<\(range.upperBound) lie outside the file of "
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

    /// Valid as long as `file` lives: keep `self` alive while using it, or use `withBytes`.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

    /// Runs `body` on the bytes and keeps the file mapped until it returns.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(file) { try body(bytes) }
    }

    /// Gives the pages of a part of the bytes back to the system; they are read again on the next access.
    public func release(_ part: Range<Int>) {
        file.release(range.lowerBound + part.lowerBound..<range.lowerBound + min(part.upperBound, count))
    }

    /// SHA-256 of the bytes. Reads all of them, and gives the pages back as it goes.
    public func digest() -> SHA256Digest {
        var hasher = SHA256Hasher()
        forEachPiece { hasher.update($0) }
        return hasher.finish()
    }

    /// The same; nil when `isCancelled`, asked before every piece, says so.
    public func digest(unless isCancelled: () -> Bool) -> SHA256Digest? {
        var hasher = SHA256Hasher()
        do {
            try forEachPiece { piece in
                if isCancelled() { throw CancellationError() }
                hasher.update(piece)
            }
        } catch {
            return nil
        }
        return hasher.finish()
    }

    /// Runs `body` on the bytes in pieces of 8 MiB, and gives each back to the system afterwards.
    public func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        let step = 8 << 20
        for start in stride(from: 0, to: count, by: step) {
            let piece = start..<min(start + step, count)
            try withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[piece])) }
            release(piece)
        }
    }
}
