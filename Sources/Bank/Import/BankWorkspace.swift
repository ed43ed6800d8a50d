import Adapters
import Diagnostics
import Foundation
import WeightFiles

/// A folder in the bank's `tmp/` that belongs to this process until it is committed or dropped.
///
/// ```swift
/// let workspace = try bank.workspace()
/// // write adapter_config.json, adapter_model.safetensors into workspace.folder
/// let outcome = try workspace.commit(BankProduct(name: "digits-merged", source: .merge, parents: parents))
/// ```
/// When the object is dropped without a commit, the folder is removed; when the process dies, `gc` removes it: a lock
/// on the file `owner` beside the folder tells that its maker is alive.
public final class BankWorkspace: Sendable {
    /// Empty at first. Only regular files at its top level are stored.
    public let folder: String
    /// `tmp/<uuid>`.
    let root: String
    private let bank: Bank
    private let owner: FileLock

    /// Where the archive is written before it gets its place.
    var archivePath: String { root + "/object.tar" }
    /// Where sources are unpacked.
    var scratch: String { root + "/scratch" }

    init(bank: Bank) throws {
        try bank.requireWritable()
        self.bank = bank
        root = bank.layout.temporary + "/" + BankIdentifier.random()
        folder = root + "/files"
        try DurableFiles.createFolders(bank.layout.temporary)
        try FileCalls.makeFolder(root, mode: 0o700)
        UnfinishedPaths.shared.add(root)
        owner = try BankWorkspace.takeOwnership(of: root)
        do {
            try FileCalls.makeFolder(folder, mode: 0o700)
        } catch {
            discard()
            throw error
        }
    }

    deinit { discard() }

    /// Reads and inspects what was written, packs it and enters it into the catalogue.
    ///
    /// - Throws: as ``Bank/importAdapter(_:options:)``; then nothing was stored and the folder is as before.
    public func commit(_ product: BankProduct) throws -> ImportOutcome {
        let (namespace, name) = try AdapterName.parse(product.name)
        let lock = try FileLock.acquire(bank.layout.lock, .shared, timeout: bank.lockTimeout)
        defer { lock.release() }
        var entry = AdapterEntry(namespace: namespace, name: name, source: product.source.rawValue)
        entry.tags = product.tags
        entry.parents = product.parents
        entry.recipe = product.recipe
        entry.title = product.title
        entry.description = product.description
        entry.batch = product.batch
        let intake = AdapterIntake(bank: bank, workspace: self, location: AdapterLocation(path: folder, form: .folder))
        let outcome = try intake.store(entry, reading: ObjectManifest.ReadingFacts(), threads: product.threads)
        discard()
        return outcome
    }

    /// Removes the folder now.
    public func discard() {
        // What cannot be removed now is removed by `gc`.
        try? FileCalls.removeTree(root)
        UnfinishedPaths.shared.remove(root)
        owner.release()
    }

    private static func takeOwnership(of root: String) throws -> FileLock {
        let path = root + "/owner"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileCalls.failure("create the file", path: path) }
        FaultPoint.pass("open")
        guard let lock = FileLock.tryExclusive(descriptor: descriptor) else {
            let failure = FileCalls.failure("lock the file", path: path)
            close(descriptor)
            throw failure
        }
        return lock
    }
}

/// A result that the program itself made: a merge or a trained adapter.
public struct BankProduct: Sendable {
    public enum Source: String, Sendable {
        case merge
        case trainedHere = "trained-here"
    }

    /// `[namespace/]name`.
    public var name: String
    public var source: Source
    public var tags: [Tag]
    /// What it was made from, in order.
    public var parents: [LineageParent]
    public var recipe: RecipeRecord?
    public var title: String?
    public var description: String?
    /// Changes with the same batch are undone together; nil: a batch of its own.
    public var batch: String?
    /// Workers of the inspection.
    public var threads: Int

    public init(
        name: String, source: Source, tags: [Tag] = [], parents: [LineageParent] = [], recipe: RecipeRecord? = nil,
        title: String? = nil, description: String? = nil, batch: String? = nil, threads: Int = 2
    ) {
        self.name = name
        self.source = source
        self.tags = tags
        self.parents = parents
        self.recipe = recipe
        self.title = title
        self.description = description
        self.batch = batch
        self.threads = threads
    }
}

/// One adapter that went into a result.
public struct LineageParent: Sendable, Hashable {
    /// SHA-256 of the bank's object, or of the weight file for a plain path (64 hexadecimal digits).
    public var object: String
    /// `name@version` in the bank; nil for a path.
    public var reference: String?
    /// `model`, `base`, `previous`, …
    public var role: String
    public var weight: Double?

    public init(object: String, reference: String?, role: String = "model", weight: Double? = nil) {
        self.object = object
        self.reference = reference
        self.role = role
        self.weight = weight
    }

    /// The parent that an operand of a merge stands for.
    public init(_ adapter: NamedAdapter, role: String = "model", weight: Double? = nil) {
        let digest = adapter.adapter.fileDigests.sorted { $0.key < $1.key }.first?.value.hex
        let reference = adapter.version.map { "\(adapter.name)@\($0)" }
        self.init(
            object: adapter.object ?? digest ?? adapter.adapter.deltaID().hex, reference: reference, role: role,
            weight: weight)
    }
}
