import CArchive
import Diagnostics
import Foundation
import Tensors

/// A single file that may be packed with gzip, bzip2, xz or zstd, such as the IDX files of MNIST.
public enum CompressedFile {
    /// The unpacked content; a file that is not packed comes back as it is.
    ///
    /// - Parameter maximumBytes: largest unpacked size.
    /// - Throws: `archive.corrupt` and `archive.truncated` for damaged streams, `archive.too_large` above the limit,
    ///   `archive.nested` for more than one layer.
    public static func read(_ path: String, maximumBytes: Int) throws -> [UInt8] {
        try MappedFile(path: path).withBytes { try read($0, path: path, maximumBytes: maximumBytes) }
    }

    private static func read(_ packed: UnsafeRawBufferPointer, path: String, maximumBytes: Int) throws -> [UInt8] {
        guard let base = packed.baseAddress else { return [] }
        let reader = archive_read_new()
        defer { archive_read_free(reader) }
        archive_read_support_filter_all(reader)
        archive_read_support_format_raw(reader)
        guard archive_read_open_memory(reader, base, packed.count) == ARCHIVE_OK else {
            throw failure(reader, path: path)
        }
        var entry: OpaquePointer?
        guard archive_read_next_header(reader, &entry) == ARCHIVE_OK else { throw failure(reader, path: path) }
        guard archive_filter_count(reader) <= 2 else {
            throw Failure(.archiveNested, "the file is compressed more than once", path: path)
        }
        let isGzip = archive_filter_count(reader) == 2 && archive_filter_code(reader, 0) == ARCHIVE_FILTER_GZIP
        let content = try unpacked(reader, path: path, maximumBytes: maximumBytes)
        if isGzip { try checkGzipLength(packed, of: content, path: path) }
        return content
    }

    private static func unpacked(_ reader: OpaquePointer?, path: String, maximumBytes: Int) throws -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = archive_read_data(reader, &chunk, chunk.count)
            if count == 0 { return content }
            guard count > 0 else { throw failure(reader, path: path) }
            guard content.count + count <= maximumBytes else {
                throw Failure(.archiveTooLarge, "more than \(maximumBytes) bytes when unpacked", path: path)
            }
            content += chunk[0..<count]
        }
    }

    /// libarchive does not compare the trailer of a gzip stream; its last four bytes are the length modulo 2³².
    private static func checkGzipLength(_ packed: UnsafeRawBufferPointer, of content: [UInt8], path: String) throws {
        guard packed.count >= 18 else { throw Failure(.archiveTruncated, "the gzip stream is cut short", path: path) }
        let length = (0..<4).reduce(0) { $0 | Int(packed[packed.count - 4 + $1]) << (8 * $1) }
        guard length == content.count & 0xFFFF_FFFF else {
            throw Failure(
                .archiveCorrupt, "the gzip trailer says \(length) bytes, \(content.count) were unpacked", path: path)
        }
    }

    private static func failure(_ reader: OpaquePointer?, path: String) -> Failure {
        let message = archive_error_string(reader).map { String(cString: $0) } ?? "unknown reason"
        let isTruncated = message.lowercased().contains("truncated")
        return Failure(isTruncated ? .archiveTruncated : .archiveCorrupt, "cannot unpack: \(message)", path: path)
    }
}
