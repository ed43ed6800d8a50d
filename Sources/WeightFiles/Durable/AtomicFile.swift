import CArchive
import Diagnostics
import Digests
import Foundation
import Synchronization

/// A file that appears complete or not at all.
///
/// ```swift
/// let file = try AtomicFile(path: "out/adapter_config.json")
/// try file.append(bytes)
/// try file.commit()
/// ```
/// Bytes go to a hidden sibling `.<name>.lorabank-<uuid>`; `commit` synchronises it, renames it and synchronises the
/// folder. Without `commit` the sibling is removed when the object goes away. Any thread may write at offsets;
/// `commit` and `abandon` must come after all writes have returned.
public final class AtomicFile: Sendable {
    /// What of a committed file survives a power failure.
    public enum Durability: Sendable {
        /// Content and name.
        case full
        /// The content, for a file that is renamed once more.
        case content
        /// Nothing is promised: for copies that are thrown away.
        case none
    }

    /// Where the file will appear.
    public let path: String
    public let temporaryPath: String
    private let overwrite: Bool
    private let durability: Durability
    private let expectedSize: Int?
    private let descriptor: Int32
    private let file: OutputFile
    private let state: Mutex<State>

    private struct State {
        var end = 0
        var isOpen = true
    }

    /// Creates the temporary file.
    ///
    /// - Parameters:
    ///   - overwrite: whether a file that stands at `path` may be replaced.
    ///   - expectedSize: bytes to come; reserved on the disk at once where the file system can do that, so that a
    ///     full disk shows before the work.
    ///   - mode: permissions, less the process's umask.
    ///   - durability: how much `commit` waits for.
    ///   - bypassingCache: large pieces of a large file of expected size go to the disk directly; for results that are
    ///     written once and not read again at once.
    /// - Throws: `output.exists`, `io.no_space`, `io.not_found` for a missing folder, `io.failed`.
    public init(
        path: String, overwrite: Bool = false, expectedSize: Int? = nil, mode: mode_t = 0o644,
        durability: Durability = .full, bypassingCache: Bool = false
    ) throws {
        AtomicFile.ignoreFileSizeSignal
        self.path = path
        self.overwrite = overwrite
        self.durability = durability
        self.expectedSize = expectedSize
        state = Mutex(State())
        if !overwrite, DurableFiles.exists(path) {
            throw Failure(.outputExists, "it exists already", path: path, hint: SystemError.overwriteHint)
        }
        (temporaryPath, descriptor) = try AtomicFile.create(for: path, mode)
        file = OutputFile(descriptor, size: bypassingCache ? expectedSize ?? 0 : 0)
        UnfinishedPaths.shared.add(temporaryPath)
        FaultPoint.pass("open")
        if let expectedSize, expectedSize > 0 { try reserve(expectedSize) }
    }

    deinit { abandon() }

    /// Writes behind everything that `append` wrote before.
    public func append(_ bytes: UnsafeRawBufferPointer) throws {
        let offset = state.withLock { state in
            defer { state.end += bytes.count }
            return state.end
        }
        try write(bytes, at: offset)
    }

    public func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

    /// Writes `bytes` at `offset` bytes from the beginning. Does not move the place where `append` writes.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        let error = file.write(bytes, at: offset)
        guard error == 0 else {
            throw SystemError.failure("write", path: path, error: error, needed: expectedSize ?? bytes.count)
        }
    }

    /// SHA-256 of what the temporary file holds now, read back from it.
    public func digest() throws -> SHA256Digest {
        var hasher = SHA256Hasher()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemError.failure("read back", path: path) }
            guard count > 0 else { return hasher.finish() }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += count
        }
    }

    /// Makes the file visible, and durable as far as was asked for.
    ///
    /// - Throws: `output.exists` when something appeared at `path` meanwhile and may not be replaced; `io.*`. The
    ///   temporary file is gone then.
    public func commit() throws {
        do {
            if durability != .none { try synchronise() }
            if overwrite {
                try DurableFiles.move(from: temporaryPath, replacing: path)
            } else {
                try DurableFiles.move(from: temporaryPath, toNew: path)
            }
        } catch {
            abandon()
            throw error
        }
        state.withLock { $0.isOpen = false }
        UnfinishedPaths.shared.remove(temporaryPath)
        if durability == .full { try DurableFiles.syncFolder(PathParts(path).folder) }
    }

    private func synchronise() throws {
        guard fsync(descriptor) == 0 else {
            throw SystemError.failure("synchronise", path: path, needed: expectedSize)
        }
        FaultPoint.pass("fsync")
    }

    /// Removes the temporary file. Does nothing after `commit`.
    public func abandon() {
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard wasOpen, descriptor >= 0 else { return }
        unlink(temporaryPath)
        UnfinishedPaths.shared.remove(temporaryPath)
    }

    /// Writes a whole file at once.
    public static func write(_ bytes: [UInt8], to path: String, overwrite: Bool = false) throws {
        let file = try AtomicFile(path: path, overwrite: overwrite, expectedSize: bytes.count)
        try file.append(bytes)
        try file.commit()
    }

    private static func create(for path: String, _ mode: mode_t) throws -> (path: String, descriptor: Int32) {
        while true {
            let temporary = DurableFiles.temporarySibling(of: path)
            let descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
            guard descriptor >= 0 else { throw SystemError.failure("create the file", path: path) }
            if AbandonedOutput.claim(descriptor, path: temporary) { return (temporary, descriptor) }
            close(descriptor)
        }
    }

    private func reserve(_ size: Int) throws {
        let fails = FaultPoint.failsWrite()
        guard fails || fallocate(descriptor, 0, 0, off_t(size)) != 0 else { return FaultPoint.pass("fallocate") }
        let error = fails ? ENOSPC : errno
        guard [ENOSPC, EDQUOT, EFBIG].contains(error) else { return }
        throw SystemError.failure("reserve the file's space", path: path, error: error, needed: size)
    }

    /// A file-size limit (`ulimit -f`) shall show as an error of `pwrite`, not end the process.
    private static let ignoreFileSizeSignal: Void = { _ = signal(SIGXFSZ, SIG_IGN) }()
}
