import Adapters
import Diagnostics

/// A folder in the bank's `tmp/` that belongs to this process until it is committed or dropped.
///
/// ```swift
/// let workspace = try bank.workspace()
/// // write adapter_config.json, adapter_model.safetensors into workspace.folder
/// let outcome = try workspace.commit(BankProduct(name: "digits-merged", source: .merge, parents: parents))
/// ```
/// When the object is dropped without a commit, the folder is removed; when the process dies, `gc` removes it.
public final class BankWorkspace: Sendable {
    /// Absolute path; empty at first. Only regular files at its top level are stored.
    public let folder: String

    init(folder: String) { self.folder = folder }

    /// Reads and inspects what was written, packs it and enters it into the catalogue.
    ///
    /// - Throws: as ``Bank/importAdapter(_:options:)``; then nothing was stored and the folder is as before.
    public func commit(_ product: BankProduct) throws -> ImportOutcome {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Removes the folder now.
    public func discard() {}
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

    public init(
        name: String, source: Source, tags: [Tag] = [], parents: [LineageParent] = [], recipe: RecipeRecord? = nil,
        title: String? = nil, description: String? = nil, batch: String? = nil
    ) {
        self.name = name
        self.source = source
        self.tags = tags
        self.parents = parents
        self.recipe = recipe
        self.title = title
        self.description = description
        self.batch = batch
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
