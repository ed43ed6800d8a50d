import Diagnostics
import Tensors

/// Reading of small text files in one piece.
enum TextFile {
    /// The whole file as text, a byte order mark removed.
    ///
    /// - Throws: `data.malformed` for bytes that are no UTF-8, `io.too_large` above the limit.
    static func read(_ path: String, maximumBytes: Int) throws -> String {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= maximumBytes else {
            throw Failure(
                .ioTooLarge, "the file has \(file.bytes.count) bytes, the limit is \(maximumBytes)", path: path)
        }
        guard let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(.dataMalformed, "the file is not UTF-8", path: path)
        }
        return text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    }
}
