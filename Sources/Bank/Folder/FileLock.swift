import Diagnostics
import Foundation

/// An advisory `flock` on a file, held until it is released or the object is dropped. Ends with the process, so a dead
/// holder needs no cleaning.
final class FileLock: @unchecked Sendable {
    enum Mode {
        case shared, exclusive
    }

    private var descriptor: Int32
    private let guardian = NSLock()

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { release() }

    func release() {
        guardian.lock()
        defer { guardian.unlock() }
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// Waits for the lock at most `timeout` seconds, and writes into the file who holds it.
    ///
    /// - Throws: `bank.locked` naming the holder, `bank.read_only`, `io.failed`.
    static func acquire(_ path: String, _ mode: Mode, timeout: Double) throws -> FileLock {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw FileCalls.failure("open the lock file", path: path) }
        let operation = (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
        let deadline = Date().addingTimeInterval(timeout)
        while flock(descriptor, operation) != 0 {
            let error = errno
            if error == EINTR { continue }
            guard error == EWOULDBLOCK else {
                close(descriptor)
                throw FileCalls.failure("lock the bank", path: path, error: error)
            }
            guard Date() < deadline else {
                let holder = text(of: descriptor)
                close(descriptor)
                throw busy(path, holder: holder, timeout: timeout)
            }
            usleep(20_000)
        }
        writeHolder(to: descriptor)
        return FileLock(descriptor: descriptor)
    }

    /// The lock when it is free now, else nil.
    static func tryExclusive(descriptor: Int32) -> FileLock? {
        flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? FileLock(descriptor: descriptor) : nil
    }

    private static func busy(_ path: String, holder: String, timeout: Double) -> Failure {
        let who = holder.isEmpty ? "another process" : holder
        return Failure(
            .bankLocked, "the bank is in use by \(who)", path: path,
            hint: "try again when it has ended, or wait longer with --lock-timeout (now \(timeout) s)",
            details: ["holder": holder])
    }

    /// `pid 4711 on host since 2026-01-01T00:00:00Z: lorabank gc`
    private static func writeHolder(to descriptor: Int32) {
        let command = CommandLine.arguments.joined(separator: " ")
        let holder = "pid \(getpid()) on \(hostName()) since \(Timestamp.now()): \(command)\n"
        let bytes = Array(holder.utf8.prefix(1_000))
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, bytes, bytes.count, 0)
    }

    private static func hostName() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "this host" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func text(of descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 1_000)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// The current time as RFC 3339 in UTC.
enum Timestamp {
    static func now() -> String { text(of: time(nil)) }

    static func text(of seconds: time_t) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : String(value) }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }
}
