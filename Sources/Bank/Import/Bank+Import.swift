import Adapters
import Diagnostics

extension Bank {
    /// Brings the adapter at a location into the bank.
    ///
    /// The files are copied, the copy is inspected, packed into one archive, placed by its digest and only then entered
    /// into the catalogue: a crash at any moment leaves nothing half-done. The same content under the same name changes
    /// nothing; under another name it becomes a second name of the same object.
    /// - Throws: what reading and inspecting throws (`safetensors.*`, `config.*`, `adapter.*`, `weights.*`, `path.*`,
    ///   `archive.*`, `pickle.*`), `bank.read_only`, `bank.locked`, `io.*`, `usage.bad_argument` for a bad name.
    public func importAdapter(_ location: AdapterLocation, options: ImportOptions = ImportOptions()) throws -> ImportOutcome {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// A folder inside the bank where a result is built before it is stored.
    ///
    /// - Throws: `bank.read_only`, `io.*`.
    public func workspace() throws -> BankWorkspace {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}
