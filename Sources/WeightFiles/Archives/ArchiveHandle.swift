import CArchive
import Diagnostics
import Foundation

/// libarchive's reading object, with its return codes turned into failures.
final class ArchiveHandle {
    /// `struct archive *`.
    let pointer: OpaquePointer
    let path: String
    private var feed: (any ByteFeed)?
    /// libarchive 3.6 must not be asked about encryption before it has chosen a format.
    private var hasFormat = false

    /// - Throws: `io.failed` when libarchive has no memory.
    init(path: String) throws {
        guard let pointer = archive_read_new() else { throw Failure(.ioFailed, "libarchive has no memory", path: path) }
        self.pointer = pointer
        self.path = path
    }

    deinit { archive_read_free(pointer) }

    /// Reads blocks one after another; formats may seek where the feed can.
    func open(_ feed: any ByteFeed) throws {
        self.feed = feed
        let context = Unmanaged.passUnretained(feed as AnyObject).toOpaque()
        if feed is MappedFeed { try check(archive_read_set_seek_callback(pointer, seekInFile)) }
        try check(archive_read_open(pointer, context, nil, readBlock, nil))
        hasFormat = true
    }

    /// Passes `ARCHIVE_OK` and throws for everything else.
    func check(_ status: Int32) throws {
        if status != ARCHIVE_OK { throw failure() }
    }

    /// What the last call failed of: an error of the source, or libarchive's own, mapped to a code.
    func failure() -> Failure {
        if let failure = feed?.failure { return failure }
        let message = archive_error_string(pointer).map { String(cString: $0) } ?? "unreadable"
        let code = code(for: message.lowercased())
        return Failure(code, "the archive cannot be read: \(message)", path: path, hint: ArchiveHandle.hint(for: code))
    }

    private func code(for message: String) -> ErrorCode {
        if isEncrypted { return .archiveEncrypted }
        let words: [(String, ErrorCode)] = [
            ("unrecognized archive format", .archiveUnknownFormat),
            ("encrypt", .archiveEncrypted), ("passphrase", .archiveEncrypted), ("password", .archiveEncrypted),
            ("special header", .archiveTooLarge),
            ("truncated", .archiveTruncated),
            ("unsupported", .archiveUnknownFormat),
        ]
        if let known = words.first(where: { message.contains($0.0) }) { return known.1 }
        return feed?.wasAskedBeyondEnd == true ? .archiveTruncated : .archiveCorrupt
    }

    /// True once an encrypted member or header was seen.
    var isEncrypted: Bool { hasFormat && archive_read_has_encrypted_entries(pointer) == 1 }

    static func hint(for code: ErrorCode) -> String? {
        switch code {
        case .archiveTruncated: "the file is cut off: fetch it again"
        case .archiveCorrupt: "the file is damaged: fetch it again"
        case .archiveEncrypted: "decrypt it first"
        case .archiveUnknownFormat: "tar (plain, gzip, bzip2, xz, zstd) and zip can be read"
        default: nil
        }
    }
}

/// libarchive's `read` callback; the context is a `ByteFeed`.
private func readBlock(
    _: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ block: UnsafeMutablePointer<UnsafeRawPointer?>?
) -> la_ssize_t {
    guard let context, let block,
        let feed = Unmanaged<AnyObject>.fromOpaque(context).takeUnretainedValue() as? any ByteFeed
    else { return -1 }
    guard let bytes = feed.nextRemembering() else { return feed.failure == nil ? 0 : -1 }
    block.pointee = bytes.baseAddress
    return bytes.count
}

/// libarchive's `seek` callback; the context is a `MappedFeed`. `whence` 0, 1, 2: from the start, from here, from the
/// end.
private func seekInFile(
    _: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ offset: la_int64_t, _ whence: Int32
) -> la_int64_t {
    guard let context, let feed = Unmanaged<AnyObject>.fromOpaque(context).takeUnretainedValue() as? MappedFeed,
        let origin = [0, feed.position, feed.count].element(at: Int(whence)),
        case (let target, let overflow) = origin.addingReportingOverflow(Int(offset)), !overflow, target >= 0
    else { return la_int64_t(ARCHIVE_FATAL) }
    feed.seek(to: target)
    return la_int64_t(feed.position)
}

extension Array {
    fileprivate func element(at index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}

/// Where an archive's bytes come from, block by block.
protocol ByteFeed: AnyObject {
    /// The next block, valid until the next call; nil at the end.
    func next() throws -> UnsafeRawBufferPointer?
    /// What `next` threw: libarchive's callbacks cannot throw.
    var failure: Failure? { get set }
    /// True when a block was asked for after the last one.
    var wasAskedBeyondEnd: Bool { get }
}

extension ByteFeed {
    /// `next` for callbacks: keeps the failure.
    func nextRemembering() -> UnsafeRawBufferPointer? {
        do {
            return try next()
        } catch {
            failure = error as? Failure ?? Failure(.ioFailed, "\(error)")
            return nil
        }
    }
}

/// The locale in which libarchive takes names for UTF-8, for one thread and one piece of work.
enum UTF8Locale {
    nonisolated(unsafe) private static let locale = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)

    static func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        guard let locale else { return try body() }
        let before = uselocale(locale)
        defer { uselocale(before) }
        return try body()
    }
}
