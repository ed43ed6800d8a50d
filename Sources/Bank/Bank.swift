import Diagnostics
import Foundation
import Governance
import WeightFiles

/// A folder with adapters: a catalogue and an object store.
///
/// ```swift
/// let bank = try Bank.open(Bank.locate(explicit: nil, environment: environment, workingFolder: "."))
/// let outcome = try bank.importAdapter(AdapterLocation.only(at: "downloads/vit-cifar"))
/// let adapters = try BankLibrary(bank).adapters(for: "tag:set=digits", relativeTo: "")
/// ```
/// All members may be called from any thread; several processes may use one bank at once.
public final class Bank: Sendable {
    public enum Access: Sendable {
        case readOnly
        case readWrite
        /// Writing where the file system allows it, else reading only.
        case automatic
    }

    /// Path as it was given.
    public let folder: String
    public let settings: BankSettings
    public let isReadOnly: Bool
    /// Who changes things: goes into the audit log.
    public let actor: String
    /// Seconds to wait for other processes.
    public let lockTimeout: Double
    let layout: BankLayout
    let catalogue: Catalogue
    let store: ObjectStore

    private init(
        layout: BankLayout, settings: BankSettings, isReadOnly: Bool, actor: String?, lockTimeout: Double
    ) throws {
        folder = layout.folder
        self.layout = layout
        self.settings = settings
        self.isReadOnly = isReadOnly
        self.actor = actor ?? ProcessOwner.name()
        self.lockTimeout = lockTimeout
        store = ObjectStore(layout: layout)
        catalogue = try Catalogue(path: layout.catalogue, readOnly: isReadOnly, timeout: lockTimeout)
    }

    public var id: String { settings.id }
    public var policy: Policy { settings.policy }

    /// Makes an empty bank. The folder may exist already, with other files in it.
    ///
    /// - Throws: `output.exists` when there is a bank, `bank.locked`, `io.*`.
    public static func create(
        at folder: String, policy: PolicyMode = .open, actor: String? = nil, lockTimeout: Double = 10
    ) throws -> Bank {
        let layout = BankLayout(folder: folder)
        try DurableFiles.createFolders(folder)
        for part in layout.all { try DurableFiles.createFolders(part) }
        let lock = try FileLock.acquire(layout.lock, .exclusive, timeout: lockTimeout)
        defer { lock.release() }
        guard FileCalls.facts(layout.settings) == nil else {
            throw Failure(.outputExists, "there is a bank already", path: folder, hint: "use it with --bank \(folder)")
        }
        // A catalogue without settings is left over from an `init` that did not end.
        for ending in ["", "-wal", "-shm"] { try FileCalls.removeFile(layout.catalogue + ending) }
        let settings = BankSettings(id: UUID().uuidString.lowercased(), policy: Policy(mode: policy))
        let bank = try Bank(
            layout: layout, settings: settings, isReadOnly: false, actor: actor, lockTimeout: lockTimeout)
        try bank.catalogue.create()
        try bank.change { change in
            try change.storePolicy(bank.policy)
            try change.record("init", subject: "", details: ["id": settings.id, "policy": policy.rawValue])
        }
        FaultPoint.pass("commit")
        try AtomicFile.write(Array(settings.text.utf8), to: layout.settings)
        return bank
    }

    /// Opens a bank.
    ///
    /// - Parameter lockTimeout: seconds to wait for other writers before `bank.locked`.
    /// - Throws: `bank.missing`, `bank.version`, `bank.corrupt`, `bank.read_only` (only for `.readWrite`),
    ///   `usage.bad_argument` for a `lorabank.toml` that is not understood.
    public static func open(
        _ folder: String, access: Access = .automatic, lockTimeout: Double = 10, actor: String? = nil
    ) throws -> Bank {
        let layout = BankLayout(folder: folder)
        let settings = try BankSettings(parsing: settingsText(layout), path: layout.settings)
        guard FileCalls.facts(layout.catalogue) != nil else {
            throw Failure(
                .bankCorrupt, "the bank has no catalogue", path: layout.catalogue,
                hint: "restore catalogue.sqlite from a backup; the objects are still there")
        }
        let writable = FileCalls.isWritable(folder) && FileCalls.isWritable(file: layout.catalogue)
        guard access != .readWrite || writable else {
            throw Failure(.bankReadOnly, "the bank cannot be written", path: folder)
        }
        let bank = try Bank(
            layout: layout, settings: settings, isReadOnly: access == .readOnly || !writable, actor: actor,
            lockTimeout: lockTimeout)
        try bank.catalogue.verifyFormat()
        return bank
    }

    /// Closes the catalogue; the last process to do so folds SQLite's log into it, so that the bank is one plain set of
    /// files again. The object cannot be used afterwards. Without it nothing is lost: the log is folded in later.
    public func close() throws { try catalogue.close() }

    /// Which bank a command means: `explicit`, else `LORABANK_BANK`, else the next folder `bank` with a `lorabank.toml`
    /// in the working folder or above it.
    ///
    /// - Throws: `bank.missing`.
    public static func locate(
        explicit: String?, environment: [String: String], workingFolder: String
    ) throws -> String {
        if let explicit, !explicit.isEmpty { return explicit }
        if let named = environment["LORABANK_BANK"], !named.isEmpty { return named }
        var folder = FileCalls.absolute(workingFolder)
        var bare: String?
        while true {
            let candidate = (folder == "/" ? "" : folder) + "/bank"
            if FileCalls.facts(candidate + "/" + BankLayout.settingsName) != nil { return candidate }
            if bare == nil, FileCalls.facts(candidate)?.isFolder == true { bare = candidate }
            if folder == "/" || folder.isEmpty { break }
            folder = (folder as NSString).deletingLastPathComponent
        }
        let hint = bare.map { "make one with 'lorabank --bank \($0) init'" }
        throw Failure(
            .bankMissing, "no bank here or in a folder above", path: workingFolder,
            hint: hint ?? "make one with 'lorabank init', or name one with --bank DIR or LORABANK_BANK")
    }

    /// Refuses to go on where the bank cannot be written.
    ///
    /// - Throws: `bank.read_only`.
    func requireWritable() throws {
        if isReadOnly { throw Failure(.bankReadOnly, "the bank cannot be written", path: folder) }
    }

    private static func settingsText(_ layout: BankLayout) throws -> String {
        guard let facts = FileCalls.facts(layout.settings), facts.isRegular else {
            throw Failure(
                .bankMissing, "there is no bank", path: layout.folder,
                hint: "make one with 'lorabank --bank \(layout.folder) init'")
        }
        guard facts.size <= 1 << 20 else {
            throw Failure(.usageBadArgument, "the settings are larger than 1 MiB", path: layout.settings)
        }
        do { return try String(contentsOfFile: layout.settings, encoding: .utf8) } catch {
            throw Failure(.ioFailed, "cannot read the settings: they are not UTF-8 text", path: layout.settings)
        }
    }
}

/// The user whom this process belongs to.
enum ProcessOwner {
    /// The login name, or `uid 1000` where the system knows none.
    static func name() -> String {
        var entry = passwd()
        var result: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwuid_r(geteuid(), &entry, &buffer, buffer.count, &result) == 0, result != nil,
            let name = entry.pw_name
        else { return "uid \(geteuid())" }
        return String(cString: name)
    }
}
