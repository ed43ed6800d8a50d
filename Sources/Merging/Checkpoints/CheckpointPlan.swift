import Digests

/// What a stage has beside its operands when it works on full weights and its result is a checkpoint.
public struct CheckpointPlan: Sendable {
    /// The weights that updates refer to and are added to; nil where the weights themselves are merged.
    public var base: Checkpoint?
    /// By index into `StagePlan.operands`. Operands that are not here are adapters: their updates count.
    public var operands: [Int: Checkpoint]
    /// What becomes of tensors that have no base, or no numbers a method could work on; nil: taken over when nobody
    /// disagrees, else an error.
    public var others: OthersRule?
    /// Names of the adapters' modules in the base: put before a name, or cut off its front when it begins with `-`.
    public var modulePrefix: String
    /// Tensors of operands that count as if they were not there.
    public var ignore: [ModulePattern]
    /// SHA-256 of the base's files by name, where they were asked for.
    public var baseDigests: [String: SHA256Digest] = [:]

    public init(
        base: Checkpoint?, operands: [Int: Checkpoint], others: OthersRule? = nil, modulePrefix: String = "",
        ignore: [ModulePattern] = []
    ) {
        self.base = base
        self.operands = operands
        self.others = others
        self.modulePrefix = modulePrefix
        self.ignore = ignore
    }
}
