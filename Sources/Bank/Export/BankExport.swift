import Adapters
import Diagnostics

extension Bank {
    /// The adapter of a row with its weights in place, whatever its state: for looking at it.
    ///
    /// - Throws: `bank.object_missing`, `bank.object_digest`, `bank.corrupt`.
    public func adapter(of row: AdapterRow) throws -> Adapter {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}

/// An adapter of the bank as a PEFT folder: what would be written, and writing it.
public struct BankExport: Sendable {
    public struct File: Sendable, Hashable {
        public var name: String
        public var size: Int
        /// The bytes are those that came in.
        public var isOriginal: Bool
    }

    public let row: AdapterRow
    public let files: [File]

    /// - Throws: `policy.*` when the adapter may not be used, `bank.object_*`.
    public init(_ bank: Bank, _ row: AdapterRow, allowUnapproved: Bool = false) throws {
        throw Failure(.internalDefect, "banks are under construction", path: bank.folder)
    }

    /// Builds the folder under another name and renames it.
    ///
    /// - Throws: `output.exists` without `overwrite`, `io.*`.
    public func write(to folder: String, overwrite: Bool) throws {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}
