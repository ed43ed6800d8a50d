import Diagnostics
import Foundation
import WeightFiles

/// `--log-file`: every message as a line of JSON, appended.
final class MessageLog {
    private let descriptor: Int32

    /// - Throws: `io.failed`.
    init(path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw Failure(.ioFailed, "cannot open the log: \(String(cString: strerror(errno)))", path: path)
        }
    }

    deinit { close(descriptor) }

    func add(level: String, _ message: String, code: String? = nil) {
        let entry = JSONValue.object([
            .init("at", .string(Timestamp.now())), .init("level", .string(level)), .init("code", .optional(code)),
            .init("message", .string(message)),
        ])
        StandardStream(descriptor: descriptor).write(entry.text() + "\n")
    }
}
