import Adapters
import Digests

/// Which program's numbers a stage reproduces; `none` is the native mode (merge-methods 6).
public enum Compatibility: String, Sendable, CaseIterable {
    case none
    case peft
    case peft020 = "peft-0.20"
    case mergekit
    case reference
    case kohya
}

/// What to do at a module that some adapters lack (merge-methods 5).
public enum MissingRule: String, Sendable, CaseIterable {
    case skip, renormalize, zero, error
}

/// What to do with whole tensors that several adapters carry (merge-methods 4.4).
public enum OthersRule: String, Sendable, CaseIterable {
    case mean, weighted, first, error
}

/// One adapter's part in the merge of one module.
public struct ModuleOperand: Sendable {
    /// Index into `StagePlan.operands`.
    public var operand: Int
    public var weight: Double
    /// Per-adapter parameters (`density`, …) resolved for this module; without `weight`.
    public var parameters: [String: ParameterValue]

    public init(operand: Int, weight: Double, parameters: [String: ParameterValue]) {
        self.operand = operand
        self.weight = weight
        self.parameters = parameters
    }
}

/// What happens at one module.
public struct ModulePlan: Sendable {
    public var module: String
    /// Registered method id, e.g. `ties`, or PEFT's `combination_type` with `compat: peft`.
    public var method: String
    /// The adapters that take part, in recipe order. With `missing: zero` an adapter without the module is listed too
    /// and counts as a zero update; otherwise every one listed has the module.
    public var operands: [ModuleOperand]
    /// Parameters of the method (`lambda`, `k`, …), validated and completed with defaults.
    public var parameters: [String: ParameterValue]

    public init(
        module: String, method: String, operands: [ModuleOperand], parameters: [String: ParameterValue]
    ) {
        self.module = module
        self.method = method
        self.operands = operands
        self.parameters = parameters
    }
}

/// `output.rank` (merge-methods 4.1).
public enum OutputRank: Hashable, Sendable {
    case keep
    case max
    case auto
    case fixed(Int)
    /// Smallest rank that keeps this share of Σσ².
    case energy(Double)
    /// Smallest rank with a relative Frobenius error of at most this.
    case tail(Double)
}

/// `output.split` (merge-methods 4.2).
public enum FactorSplit: String, Sendable, CaseIterable {
    case sqrt, b, a
}

/// How the result is written.
public struct OutputPlan: Sendable {
    public enum Precision: String, Sendable, CaseIterable {
        case keep, f32, f16, bf16
    }

    public var name: String?
    /// nil: the default of the method's exactness class.
    public var rank: OutputRank?
    public var precision: Precision
    public var split: FactorSplit?
    /// Pad all modules to one rank with zeros instead of writing patterns.
    public var uniform: Bool
    public var tags: [String: String]
    /// `adapter`, `dense`, `report-only`.
    public var sink: String

    public init(
        name: String? = nil, rank: OutputRank? = nil, precision: Precision = .keep, split: FactorSplit? = nil,
        uniform: Bool = false, tags: [String: String] = [:], sink: String = "adapter"
    ) {
        self.name = name
        self.rank = rank
        self.precision = precision
        self.split = split
        self.uniform = uniform
        self.tags = tags
        self.sink = sink
    }
}

/// One step of `post:` with its parameters resolved.
public struct PostStepPlan: Sendable {
    /// Registered id, e.g. `svc`, `isotropize`.
    public var id: String
    public var parameters: [String: ParameterValue]

    public init(id: String, parameters: [String: ParameterValue]) {
        self.id = id
        self.parameters = parameters
    }
}

/// Something the planner noticed and went on: shown to the user, stored in the provenance.
public struct PlanNote: Hashable, Sendable {
    /// Stable name, e.g. `recipe.duplicate_adapter`.
    public var code: String
    public var message: String
    /// Module, adapter or line concerned; empty for the whole.
    public var place: String

    public init(code: String, message: String, place: String = "") {
        self.code = code
        self.message = message
        self.place = place
    }
}

/// One stage of a recipe with everything resolved: no reference, gradient or override is left.
public struct StagePlan: Sendable {
    public var name: String
    public var compatibility: Compatibility
    public var operands: [NamedAdapter]
    /// For each operand the entry of the recipe's `models` that named it (a tag names several).
    public var operandEntries: [Int]
    /// Sorted by module name.
    public var modules: [ModulePlan]
    public var missing: MissingRule
    public var others: OthersRule
    /// `non_finite: zero` instead of an error.
    public var zeroNonFinite: Bool
    public var allowBaseMismatch: Bool
    public var seed: UInt64?
    public var memoryLimitBytes: Int
    public var threads: Int
    public var output: OutputPlan
    /// `base_model` of the recipe.
    public var baseModel: String?
    /// Operands that are results of earlier stages: index into `operands` → name of the stage. Until that stage has
    /// run, `operands[index].adapter` is an outline: modules with shapes, rank 0 and no weights.
    public var pendingOperands: [Int: String]
    /// `pad: zero`: class F methods may fill up smaller ranks with zeros.
    public var padRanks: Bool
    /// Steps after the method, in order.
    public var post: [PostStepPlan]
    /// Modules that some operand has and the result lacks (filters, or no operand left), sorted.
    public var omittedModules: [String]
    /// What the planner noticed.
    public var notes: [PlanNote]
    /// Not nil: full weights take part or come out; `modules` are named like tensors.
    public var checkpoint: CheckpointPlan?
    /// The weights with which DoRA updates are converted before they are merged into an adapter.
    public var decompositionBase: Checkpoint?
    /// SHA-256 of its files by name, for the provenance; empty until they are computed.
    public var decompositionDigests: [String: SHA256Digest] = [:]

    public init(
        name: String, compatibility: Compatibility, operands: [NamedAdapter], modules: [ModulePlan],
        missing: MissingRule, others: OthersRule, zeroNonFinite: Bool, allowBaseMismatch: Bool, seed: UInt64?,
        memoryLimitBytes: Int, threads: Int, output: OutputPlan, baseModel: String? = nil,
        operandEntries: [Int]? = nil, pendingOperands: [Int: String] = [:],
        padRanks: Bool = false, post: [PostStepPlan] = [], omittedModules: [String] = [], notes: [PlanNote] = [],
        checkpoint: CheckpointPlan? = nil, decompositionBase: Checkpoint? = nil
    ) {
        self.name = name
        self.compatibility = compatibility
        self.operands = operands
        self.operandEntries = operandEntries ?? Array(operands.indices)
        self.modules = modules
        self.missing = missing
        self.others = others
        self.zeroNonFinite = zeroNonFinite
        self.allowBaseMismatch = allowBaseMismatch
        self.seed = seed
        self.memoryLimitBytes = memoryLimitBytes
        self.threads = threads
        self.output = output
        self.baseModel = baseModel
        self.pendingOperands = pendingOperands
        self.padRanks = padRanks
        self.post = post
        self.omittedModules = omittedModules
        self.notes = notes
        self.checkpoint = checkpoint
        self.decompositionBase = decompositionBase
    }
}
