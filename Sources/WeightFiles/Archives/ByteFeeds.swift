import CArchive
import Diagnostics
import Foundation
import Tensors

/// The bytes of a mapped file in blocks. Pages that were read are given back.
final class MappedFeed: ByteFeed {
    private let content: MappedBytes
    private let blockSize: Int
    /// Where the next block begins.
    private(set) var position = 0
    /// Where the pages begin that were read and not yet given back.
    private var held = 0
    private(set) var wasAskedBeyondEnd = false
    var failure: Failure?

    init(_ content: MappedBytes, blockSize: Int) {
        self.content = content
        self.blockSize = blockSize
    }

    var count: Int { content.count }

    func next() -> UnsafeRawBufferPointer? {
        guard position < count else {
            wasAskedBeyondEnd = true
            return nil
        }
        if position - held > 8 << 20 { release() }
        let block = position..<min(position + blockSize, count)
        position = block.upperBound
        return UnsafeRawBufferPointer(rebasing: content.bytes[block])
    }

    /// Goes on at `target`, or at the end when it lies beyond.
    func seek(to target: Int) {
        release()
        position = min(target, count)
        held = position
        wasAskedBeyondEnd = false
    }

    private func release() {
        if held < position { content.release(held..<position) }
        held = position
    }
}

/// What a compressed file unpacks to, measured and checked on the way.
final class UnpackedFeed: ByteFeed {
    private let source: MappedFeed
    private let handle: ArchiveHandle
    private let limits: ArchiveLimits
    private var trailers: GzipTrailers?
    private var pendingFirst: UnsafeRawBufferPointer?
    private var isAtEnd = false
    /// Bytes handed out so far.
    private(set) var delivered = 0
    /// Offset behind the last byte that was not zero.
    private(set) var contentEnd = 0
    private(set) var wasAskedBeyondEnd = false
    var failure: Failure?

    /// Small blocks of packed bytes, so that the ratio is known early.
    private static let packedBlock = 16 << 10

    /// - Throws: `archive.nested` when something packed is inside, `archive.truncated`, `archive.corrupt`.
    init(_ content: MappedBytes, _ compression: Compression, limits: ArchiveLimits) throws {
        self.limits = limits
        source = MappedFeed(content, blockSize: UnpackedFeed.packedBlock)
        handle = try ArchiveHandle(path: content.path)
        if compression == .gzip { trailers = GzipTrailers(content) }
        try handle.check(compression.enable(in: handle.pointer))
        try handle.check(archive_read_support_format_raw(handle.pointer))
        try handle.open(source)
        var entry: OpaquePointer?
        try handle.check(archive_read_next_header(handle.pointer, &entry))
        guard archive_filter_count(handle.pointer) == 2 else { throw nested() }
        pendingFirst = try unpack()
        if let first = pendingFirst, Compression(first) != nil || FileKind.sniff(first) == .zip { throw nested() }
    }

    func next() throws -> UnsafeRawBufferPointer? {
        if let first = pendingFirst {
            pendingFirst = nil
            return first
        }
        guard !isAtEnd else {
            wasAskedBeyondEnd = true
            return nil
        }
        return try unpack()
    }

    private func unpack() throws -> UnsafeRawBufferPointer? {
        var base: UnsafeRawPointer?
        var count = 0
        var offset: la_int64_t = 0
        let status = archive_read_data_block(handle.pointer, &base, &count, &offset)
        if status == ARCHIVE_EOF {
            isAtEnd = true
            return try end()
        }
        try handle.check(status)
        let block = UnsafeRawBufferPointer(start: base, count: count)
        trailers?.update(block)
        if let last = block.lastIndex(where: { $0 != 0 }) { contentEnd = delivered + last + 1 }
        delivered += count
        try checkSize()
        return block
    }

    private func checkSize() throws {
        if delivered > limits.bombBytes, delivered / limits.bombRatio > source.position {
            throw Failure(
                .archiveBomb, "\(source.position) bytes unpack to \(delivered) and more", path: handle.path,
                hint: "such archives are made to fill disks")
        }
        // Headers and padding of the container come on top of the members.
        guard delivered <= limits.unpackedBytes.addingClamped(limits.members * 4096) else {
            throw Failure(
                .archiveTooLarge, "it unpacks to more than \(limits.unpackedBytes) bytes", path: handle.path)
        }
    }

    private func end() throws -> UnsafeRawBufferPointer? {
        if let trailers, !trailers.agrees {
            throw Failure(
                .archiveCorrupt, "the checksum at the end of the gzip file does not fit its content",
                path: handle.path, hint: ArchiveHandle.hint(for: .archiveCorrupt))
        }
        return nil
    }

    private func nested() -> Failure {
        Failure(
            .archiveNested, "a compressed file inside a compressed file", path: handle.path,
            hint: "unpack the outer layer first")
    }
}

extension Int {
    /// The sum, or the largest number there is.
    fileprivate func addingClamped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
