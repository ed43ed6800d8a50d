import Tensors

/// What a merge did, module by module: the source of `--json`, of reports and of the provenance.
public struct MergeRecord: Sendable {
    /// One module of the result.
    public struct Module: Sendable {
        public var name: String
        /// The rule that was used: the method's id.
        public var method: String
        /// Total rank Σ r_i of the operands.
        public var rankIn: Int
        public var rankOut: Int
        /// Share of Σσ² that the output stage left out, in 0…1; nil where nothing was decomposed.
        public var discardedEnergy: Double
        /// ‖Δ*‖F of what was written, before rounding to the output type.
        public var frobenius: Double
        /// Share of the stage's adapters that have the module, in 0…1.
        public var coverage: Double
        /// Share of operand entries that a selection set to zero, in 0…1; nil where the method selects nothing.
        public var trimmedShare: Double?
        /// Largest |x − round(x)| over the entries of A and B; 0 when the output type is the computing type.
        public var maxRoundingError: Double
        /// Cosines between the operands' updates (row-major, T×T); nil where the Gram matrix was not needed.
        public var cosines: [[Double]]?
        public var warnings: [String]
    }

    /// Sorted by name.
    public var modules: [Module]
    /// Names of the whole tensors that were carried over or merged, sorted.
    public var savedTensors: [String]
    /// Element type of the factors in the file.
    public var dtype: DType
    /// The weight file that was written.
    public var weightsPath: String
    /// Bytes of the weight file.
    public var bytes: Int
    /// Entries that were NaN or infinite and were set to zero (`non_finite: zero`).
    public var replacedEntries: Int
    /// Remarks that concern no single module.
    public var warnings: [String]
    /// Wall time of the merge.
    public var seconds: Double
}
