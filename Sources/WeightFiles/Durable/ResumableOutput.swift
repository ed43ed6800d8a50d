import CArchive
import Diagnostics
import Digests
import Foundation
import Synchronization

/// A large output, one file or a folder of files, that is built item by item and can be taken up again after the
/// process died.
///
/// The bytes go to a hidden sibling `.<name>.lorabank-<digest>` of known size. A journal beside it names the items that
/// are complete; a later run with the same digest (recipe, inputs, layout) finds both and goes on where the first one
/// stopped. `commit` makes everything durable and visible in one step and removes the journal. Of two runs with the
/// same target only one gets the journal's lock. What an earlier run with other inputs left behind for the same target
/// is removed.
///
/// After a crash of the whole machine only items that were synchronised to the disk count: the journal notes the boot
/// in which it was written, and from time to time that everything before is on the disk.
public final class ResumableOutput: Sendable {
    public enum Form: Sendable {
        case file
        case folder
    }

    /// One file of the output.
    public struct File: Sendable, Hashable {
        /// Plain name inside the folder; the name of a single file is that of the path.
        public var name: String
        /// nil for a file that grows as it is written.
        public var size: Int?

        public init(name: String, size: Int?) {
            self.name = name
            self.size = size
        }
    }

    public let path: String
    /// Where the bytes are until `commit`: the file, or the folder.
    public let temporaryPath: String
    /// Items that an earlier run completed, with the text that `finish` was given.
    public let finished: [Int: String]
    private let form: Form
    private let overwrite: Bool
    private let journalPath: String
    private let journal: Int32
    private let files: [OutputFile]
    private let state: Mutex<State>

    private struct State {
        var isOpen = true
        var lines = 0
        var unsynced = 0
        var isSyncing = false
    }

    /// Bytes of a block on the disk: pieces that lie in memory as they will lie in the file, modulo this, are written
    /// without being copied first.
    public static let block = OutputFile.block

    /// Bytes after which the items so far are synchronised to the disk.
    private static let syncInterval = 4 << 30

    /// Creates or takes up the output.
    ///
    /// - Parameters:
    ///   - files: for `.file` exactly one.
    ///   - digest: of everything that decides the bytes of the output.
    /// - Throws: `output.exists`; `io.no_space`, `io.*`; `io.failed` while another process works on the same output.
    public init(path: String, form: Form, files: [File], digest: SHA256Digest, overwrite: Bool) throws {
        self.path = path
        self.form = form
        self.overwrite = overwrite
        let parts = PathParts(path)
        if DurableFiles.exists(path), !overwrite, !(form == .folder && AtomicFolder.isEmptyFolder(path)) {
            throw Failure(.outputExists, "it exists already", path: path, hint: SystemError.overwriteHint)
        }
        if form == .folder { try DurableFiles.createFolders(parts.folder) }
        let stem = ResumableOutput.stem(parts)
        let temporaryPath = "\(parts.folder)/\(stem)\(digest.hex.prefix(16))"
        self.temporaryPath = temporaryPath
        journalPath = temporaryPath + ".journal"
        journal = try ResumableOutput.openJournal(journalPath, target: path)
        var opened: [OutputFile] = []
        do {
            ResumableOutput.removeAbandoned(in: parts.folder, stem: stem, except: journalPath)
            AbandonedOutput.remove(for: path)
            let names = files.map { form == .file ? temporaryPath : temporaryPath + "/" + $0.name }
            let header = "lorabank-journal/1 \(digest.hex) \(ResumableOutput.boot)"
            var lines: [(item: Int, text: String)] = []
            if ResumableOutput.hasSizes(names, files) {
                lines = ResumableOutput.trusted(ResumableOutput.text(of: journal), header: header)
            }
            if lines.isEmpty {
                try? FileManager.default.removeItem(atPath: temporaryPath)
                if form == .folder, mkdir(temporaryPath, 0o755) != 0 {
                    throw SystemError.failure("create the folder", path: path)
                }
                FaultPoint.pass("mkdir")
            }
            for (name, file) in zip(names, files) {
                opened.append(try ResumableOutput.open(name, size: file.size, isNew: lines.isEmpty, target: path))
            }
            try ResumableOutput.rewrite(journal, header: header, lines: lines, path: journalPath)
            finished = Dictionary(lines.map { ($0.item, $0.text) }) { _, last in last }
            self.files = opened
            state = Mutex(State(lines: lines.count))
        } catch {
            unlink(journalPath)
            close(journal)
            try? FileManager.default.removeItem(atPath: temporaryPath)
            throw error
        }
    }

    deinit { close(journal) }

    // MARK: Writing

    /// Writes `bytes` at `offset` of a file. Safe from any thread.
    public func write(_ bytes: UnsafeRawBufferPointer, file: Int, at offset: Int) throws {
        let error = files[file].write(bytes, at: offset)
        guard error == 0 else { throw SystemError.failure("write", path: path, error: error, needed: bytes.count) }
    }

    /// Reads back what was written.
    ///
    /// - Throws: `io.failed` for bytes that are not there.
    public func read(into target: UnsafeMutableRawBufferPointer, file: Int, at offset: Int) throws {
        var done = 0
        while done < target.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
            let count = pread(files[file].descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError.failure("read back", path: path, error: count == 0 ? EIO : errno)
            }
            done += count
        }
    }

    /// Notes in the journal that an item is complete.
    ///
    /// - Parameters:
    ///   - text: one line, given back as `finished` to a later run.
    ///   - bytes: size of the item.
    public func finish(_ item: Int, text: String, bytes: Int) throws {
        let sync = try state.withLock { state -> Int? in
            try append("item \(item) \(text)\n")
            state.lines += 1
            state.unsynced += bytes
            guard state.unsynced >= ResumableOutput.syncInterval, !state.isSyncing else { return nil }
            state.unsynced = 0
            state.isSyncing = true
            return state.lines
        }
        FaultPoint.pass("journal")
        guard let sync else { return }
        for file in files { fdatasync(file.descriptor) }
        try state.withLock { state in
            try append("synced \(sync)\n")
            fdatasync(journal)
            state.isSyncing = false
        }
    }

    private func append(_ line: String) throws {
        let bytes = Array(line.utf8)
        let count = Foundation.write(journal, bytes, bytes.count)
        guard count == bytes.count else { throw SystemError.failure("write the journal", path: journalPath) }
    }

    // MARK: The end

    /// Makes the output durable and visible.
    ///
    /// - Throws: `output.exists` when something appeared at the path meanwhile, `io.*`; the temporary output is gone
    ///   then.
    public func commit() throws {
        do {
            for file in files where fsync(file.descriptor) != 0 {
                throw SystemError.failure("synchronise", path: path)
            }
            FaultPoint.pass("fsync")
            switch form {
            case .folder: try AtomicFolder(path: path, overwrite: overwrite, adopting: temporaryPath).commit()
            case .file:
                try overwrite
                    ? DurableFiles.move(from: temporaryPath, replacing: path)
                    : DurableFiles.move(from: temporaryPath, toNew: path)
                try DurableFiles.syncFolder(PathParts(path).folder)
            }
        } catch {
            abandon()
            throw error
        }
        unlink(journalPath)
        FaultPoint.pass("unlink")
        state.withLock { $0.isOpen = false }
    }

    /// Removes what was written. Does nothing after `commit`. Without either of them the output stays for a later run.
    public func abandon() {
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard wasOpen else { return }
        try? FileManager.default.removeItem(atPath: temporaryPath)
        unlink(journalPath)
    }

    // MARK: Beginning

    /// `.<name>.lorabank-`, to which the digest is added.
    private static func stem(_ parts: PathParts) -> String { ".\(DurableFiles.stemName(parts.name)).lorabank-" }

    private static func openJournal(_ path: String, target: String) throws -> Int32 {
        let journal = Foundation.open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard journal >= 0 else { throw SystemError.failure("create the file", path: target) }
        guard flock(journal, LOCK_EX | LOCK_NB) == 0 else {
            close(journal)
            throw Failure(
                .ioFailed, "another process is making this output", path: target, hint: "wait until it is done")
        }
        FaultPoint.pass("open")
        return journal
    }

    /// Journals and temporary files of earlier runs for the same target that nobody works on any more.
    private static func removeAbandoned(in folder: String, stem: String, except own: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasPrefix(stem) && name.hasSuffix(".journal") && "\(folder)/\(name)" != own {
            let path = "\(folder)/\(name)"
            let descriptor = Foundation.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
            try? FileManager.default.removeItem(atPath: String(path.dropLast(".journal".count)))
            unlink(path)
        }
    }

    private static func hasSizes(_ names: [String], _ files: [File]) -> Bool {
        zip(names, files).allSatisfy { name, file in
            var status = stat()
            return lstat(name, &status) == 0 && status.st_mode & 0o170000 == 0o100000
                && (file.size == nil || Int(status.st_size) == file.size)
        }
    }

    private static func open(_ path: String, size: Int?, isNew: Bool, target: String) throws -> OutputFile {
        let flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (isNew ? O_CREAT | O_EXCL : 0)
        let descriptor = Foundation.open(path, flags, 0o644)
        guard descriptor >= 0 else { throw SystemError.failure("create the file", path: target) }
        FaultPoint.pass("open")
        let file = OutputFile(descriptor, size: size ?? 0)
        guard isNew, let size, size > 0 else { return file }
        let fails = FaultPoint.failsWrite()
        if fails || fallocate(descriptor, 0, 0, off_t(size)) != 0 {
            let error = fails ? ENOSPC : errno
            // A file system that cannot reserve gets a file of the right length instead.
            let isFull = [ENOSPC, EDQUOT, EFBIG].contains(error)
            guard !isFull, ftruncate(descriptor, off_t(size)) == 0 else {
                throw SystemError.failure("reserve the file's space", path: target, error: error, needed: size)
            }
        }
        FaultPoint.pass("fallocate")
        return file
    }

    // MARK: The journal

    /// Names the running system; another one after every start of the machine.
    private static let boot: String = {
        let text = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        return text.isEmpty ? "unknown" : String(text.prefix { !$0.isWhitespace })
    }()

    private static func text(of journal: Int32) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = pread(journal, &buffer, buffer.count, off_t(bytes.count))
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    /// The items that count: all whole lines, after a restart of the machine those that were on the disk.
    private static func trusted(_ text: String, header: String) -> [(item: Int, text: String)] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        guard let first = lines.popFirst(),
            first.split(separator: " ").prefix(2) == header.split(separator: " ").prefix(2)
        else { return [] }
        var items: [(item: Int, text: String)] = []
        var synced = 0
        for line in lines {
            let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            guard words.count >= 2, let number = Int(words[1]) else { break }
            if words[0] == "synced" {
                synced = number
            } else {
                items.append((number, words.count > 2 ? String(words[2]) : ""))
            }
        }
        return first == header ? items : Array(items.prefix(synced))
    }

    private static func rewrite(
        _ journal: Int32, header: String, lines: [(item: Int, text: String)], path: String
    ) throws {
        let text = header + "\n" + lines.map { "item \($0.item) \($0.text)\n" }.joined()
        let bytes = Array(text.utf8)
        guard ftruncate(journal, 0) == 0, Foundation.write(journal, bytes, bytes.count) == bytes.count else {
            throw SystemError.failure("write the journal", path: path)
        }
        FaultPoint.pass("journal")
    }
}
