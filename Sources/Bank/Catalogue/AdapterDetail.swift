import Adapters
import Diagnostics
import Governance

/// Everything that the catalogue knows about one adapter version.
public struct AdapterDetail: Sendable {
    public var row: AdapterRow
    /// Sorted by name.
    public var modules: [ModuleFacts]
    /// Parents first, then children.
    public var lineage: [LineageEdge]
    /// Newest first.
    public var metrics: [Metric]
    public var findings: [Finding]
    /// Oldest first.
    public var notes: [Note]
    public var aliases: [String]
    /// Oldest first.
    public var decisions: [DecisionRecord]
    /// The merge or training run that made it.
    public var recipe: RecipeRecord?
    /// Files in the object, in archive order.
    public var files: [ObjectFile]
}

/// One adapted module with its spectrum.
public struct ModuleFacts: Sendable, Hashable {
    public var name: String
    public var kind: String
    public var dOut: Int
    public var dIn: Int
    public var rank: Int
    public var scale: Double
    /// Frobenius norm of ΔW; nil when it was not computed.
    public var frobenius: Double?
    public var sigma1: Double?
    public var stableRank: Double?
    /// Singular values of ΔW, falling; stored as 32-bit numbers.
    public var spectrum: [Double]
}

/// A link between an adapter and one that it was made from.
public struct LineageEdge: Sendable, Hashable {
    public enum Direction: String, Sendable {
        /// The other adapter went into this one.
        case parent
        /// This one went into the other.
        case child
    }

    public var direction: Direction
    /// 0-based place among the parents.
    public var position: Int
    /// `model`, `base`, `previous`, …
    public var role: String
    public var weight: Double?
    /// SHA-256 of the other adapter's archive, or of its weight file when it is in no bank.
    public var object: String
    /// `name@version` when the other adapter is in this bank.
    public var reference: String?
    public var state: ApprovalState?
    /// True when the other adapter was removed from the bank.
    public var removed: Bool
}

/// A measured value of an adapter on data.
public struct Metric: Sendable, Hashable {
    public var dataset: String
    public var split: String
    /// `acc_global`, `acc_local`, `forgetting`, …
    public var name: String
    public var value: Double
    /// Number of samples.
    public var n: Int?
    public var ciLow: Double?
    public var ciHigh: Double?
    public var step: Int?
    public var run: String?
    /// RFC 3339, UTC; filled in when it is stored.
    public var at: String

    public init(
        dataset: String, split: String, name: String, value: Double, n: Int? = nil, ciLow: Double? = nil,
        ciHigh: Double? = nil, step: Int? = nil, run: String? = nil, at: String = ""
    ) {
        self.dataset = dataset
        self.split = split
        self.name = name
        self.value = value
        self.n = n
        self.ciLow = ciLow
        self.ciHigh = ciHigh
        self.step = step
        self.run = run
        self.at = at
    }
}

/// A remark that a user wrote.
public struct Note: Sendable, Hashable {
    public var text: String
    public var actor: String
    public var at: String
}

/// One decision about an adapter's state.
public struct DecisionRecord: Sendable, Hashable {
    public var decision: ApprovalDecision
    public var actor: String
    public var reason: String
    public var at: String
}

/// The run that made an adapter.
public struct RecipeRecord: Sendable, Hashable {
    /// Canonical JSON of the resolved recipe.
    public var recipe: String
    /// SHA-256 of `recipe`.
    public var recipeSHA: String
    /// Name and version of the program.
    public var program: String
    public var seed: UInt64?
    public var threads: Int?
    /// RFC 3339, UTC.
    public var startedAt: String
    public var endedAt: String?

    public init(
        recipe: String, recipeSHA: String, program: String, seed: UInt64?, threads: Int?, startedAt: String,
        endedAt: String? = nil
    ) {
        self.recipe = recipe
        self.recipeSHA = recipeSHA
        self.program = program
        self.seed = seed
        self.threads = threads
        self.startedAt = startedAt
        self.endedAt = endedAt
    }
}

/// A file inside an object.
public struct ObjectFile: Sendable, Hashable {
    /// Name in the archive.
    public var member: String
    /// Name as it came.
    public var name: String
    public var size: Int
    /// SHA-256, 64 hexadecimal digits.
    public var digest: String
    /// `configuration`, `weights`, `index`, `card` or `other`.
    public var kind: String
}
