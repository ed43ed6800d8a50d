import Diagnostics
import Foundation
import Governance

/// A folder with adapters: a catalogue and an object store.
///
/// ```swift
/// let bank = try Bank.open(Bank.locate(explicit: nil, environment: environment, workingFolder: "."))
/// let outcome = try bank.importAdapter(AdapterLocation.only(at: "downloads/vit-cifar"))
/// let adapters = try bank.adapters(for: "tag:set=digits", relativeTo: "")
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

    init(folder: String, settings: BankSettings, isReadOnly: Bool, actor: String) {
        self.folder = folder
        self.settings = settings
        self.isReadOnly = isReadOnly
        self.actor = actor
    }

    public var id: String { settings.id }
    public var policy: Policy { settings.policy }

    /// Makes an empty bank. The folder may exist when it is empty or holds no bank yet.
    ///
    /// - Throws: `output.exists` when there is a bank, `io.*`.
    public static func create(at folder: String, policy: PolicyMode = .open, actor: String? = nil) throws -> Bank {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Opens a bank.
    ///
    /// - Parameter lockTimeout: seconds to wait for other writers before `bank.locked`.
    /// - Throws: `bank.missing`, `bank.version`, `bank.corrupt`, `bank.read_only` (only for `.readWrite`).
    public static func open(
        _ folder: String, access: Access = .automatic, lockTimeout: Double = 10, actor: String? = nil
    ) throws -> Bank {
        throw Failure(.bankMissing, "banks are under construction", path: folder)
    }

    /// Which bank a command means: `explicit`, else `LORABANK_BANK`, else the next folder `bank` with a `lorabank.toml`
    /// in the working folder or above it.
    ///
    /// - Throws: `bank.missing`.
    public static func locate(
        explicit: String?, environment: [String: String], workingFolder: String
    ) throws -> String {
        throw Failure(.bankMissing, "banks are under construction")
    }
}
