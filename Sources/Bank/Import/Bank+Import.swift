import Adapters
import Diagnostics
import WeightFiles

extension Bank {
    /// Brings the adapter at a location into the bank.
    ///
    /// The files are copied, the copy is inspected, packed into one archive, placed by its digest and only then entered
    /// into the catalogue: a crash at any moment leaves nothing half-done. The same content under the same name changes
    /// nothing; under another name it becomes a second name of the same object.
    /// - Throws: what reading and inspecting throws (`safetensors.*`, `config.*`, `adapter.*`, `weights.*`, `path.*`,
    ///   `archive.*`, `pickle.*`), `bank.read_only`, `bank.locked`, `io.*`, `usage.bad_argument` for a bad name.
    public func importAdapter(
        _ location: AdapterLocation, options: ImportOptions = ImportOptions()
    ) throws -> ImportOutcome {
        let (namespace, name) = try AdapterName.parse(options.name ?? AdapterName.proposal(for: location))
        try requireWritable()
        let lock = try FileLock.acquire(layout.lock, .shared, timeout: lockTimeout)
        defer { lock.release() }
        let workspace = try workspace()
        defer { workspace.discard() }
        let intake = try AdapterIntake.copying(location, into: workspace, of: self, select: options.select)
        var entry = AdapterEntry(namespace: namespace, name: name, source: "import")
        entry.origin = location.path
        entry.tags = options.tags
        entry.batch = options.batch
        var reading = ObjectManifest.ReadingFacts()
        reading.isBareFile = location.form == .file
        reading.base = options.base
        reading.alpha = options.alpha
        reading.scale = options.scale
        reading.trustTensors = options.trustTensors
        return try intake.store(entry, reading: reading, threads: options.threads)
    }

    /// A folder inside the bank where a result is built before it is stored.
    ///
    /// - Throws: `bank.read_only`, `bank.locked`, `io.*`.
    public func workspace() throws -> BankWorkspace {
        try requireWritable()
        // Garbage collection takes this lock alone: it never sees a workspace whose owner is not locked yet.
        let lock = try FileLock.acquire(layout.lock, .shared, timeout: lockTimeout)
        defer { lock.release() }
        return try BankWorkspace(bank: self)
    }
}
