import Diagnostics
import Tensors

/// Reading of small text files in one piece.
enum TextFile {
    /// The lines of `text` without their ends. Scalars decide: Swift takes a carriage return and a line feed together
    /// for one character, which is no line feed.
    static func lines(_ text: String) -> [String] {
        var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            String(line.last == "\r" ? line.dropLast() : line)
        }
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    /// The whole file as text, a byte order mark removed.
    ///
    /// - Throws: `data.malformed` for bytes that are no UTF-8, `io.too_large` above the limit.
    static func read(_ path: String, maximumBytes: Int) throws -> String {
        let text = try MappedFile(path: path).withBytes { bytes in
            guard bytes.count <= maximumBytes else {
                throw Failure(
                    .ioTooLarge, "the file has \(bytes.count) bytes, the limit is \(maximumBytes)", path: path)
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Failure(.dataMalformed, "the file is not UTF-8", path: path)
            }
            return text
        }
        return text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    }
}
