/// A rule of class E (merge-methods 2): what happens to the entries of the updates X_i = Δ_i, block by block.
///
/// First come the rounds of statistics, each over all entries of the module (or of the whole adapter); then `merge`
/// sees every entry once more and writes Δ*. Everything works on `Float` entries; sums over operands are made in
/// double precision in recipe order. No result depends on how the entries are cut into chunks.
public struct ElementRule: Sendable {
    public typealias Merge =
        @Sendable (ElementChunk, inout ElementState, UnsafeMutablePointer<Float>) -> Void

    /// Statistics that `merge` needs, in order; a round may use the results of the rounds before it.
    public var rounds: [StatisticsRound]
    /// Writes the merged entries of one chunk; may overwrite the chunk's operands.
    public var merge: Merge
    /// The rule needs whole rows in one chunk (row-wise selection).
    public var needsWholeRows: Bool

    public init(rounds: [StatisticsRound] = [], needsWholeRows: Bool = false, merge: @escaping Merge) {
        self.rounds = rounds
        self.needsWholeRows = needsWholeRows
        self.merge = merge
    }
}

extension ElementRule {
    /// Some statistics are taken over several modules together.
    var reachesOverModules: Bool {
        rounds.contains { round in
            switch round {
            case .select(let selections): selections.contains { $0.scope != .tensor }
            case .tally(let scope, _): scope != .tensor
            case .sums: false
            }
        }
    }
}

/// A stretch of consecutive entries (row-major) of all operands.
public struct ElementChunk {
    /// Operand i's entries begin at `operands[i] + offset`.
    let operands: UnsafeBufferPointer<UnsafeMutablePointer<Float>>
    let offset: Int
    /// Row-major index of the first entry in the module.
    let start: Int
    /// Number of entries; a multiple of `columns`.
    public let count: Int
    /// d_in: entries per row.
    public let columns: Int

    public var operandCount: Int { operands.count }

    /// The entries of operand i in this chunk; they may be overwritten.
    @inline(__always)
    public func operand(_ i: Int) -> UnsafeMutablePointer<Float> { operands[i] + offset }

    /// The chunk's row number `row`, counted from its own first one.
    func row(_ row: Int) -> ElementChunk {
        ElementChunk(
            operands: operands, offset: offset + row * columns, start: start + row * columns,
            count: columns, columns: columns)
    }
}

/// One pass, or one pair of passes, over all entries before the merge.
public enum StatisticsRound: Sendable {
    /// Find thresholds by magnitude.
    case select([MagnitudeSelection])
    /// Add up whole numbers over the chunks of the module, or of all modules.
    case tally(scope: SelectionScope, @Sendable (ElementChunk, inout ElementState) -> Int)
    /// Add up `count` numbers over the rows of the module: called once per row, in order, with zeros to write to. The
    /// sums are made row by row, so that they do not depend on the blocks.
    case sums(count: Int, @Sendable (ElementChunk, inout ElementState, UnsafeMutablePointer<Double>) -> Void)
}

/// Which entries compete with each other (2.3).
public enum SelectionScope: Hashable, Sendable {
    /// Those of one module.
    case tensor
    /// Those of every module whose selection has the same key.
    case adapter(ScopeKey)

    /// What a selection over several modules has in common: the adapter and the share it keeps.
    public struct ScopeKey: Hashable, Sendable {
        /// Index of the adapter in the stage; -1 for a quantity of all adapters together.
        var operand: Int
        var share: Double

        public init(operand: Int, share: Double) {
            self.operand = operand
            self.share = share
        }
    }
}

/// "The k largest magnitudes of a quantity" (2.2).
public struct MagnitudeSelection: Sendable {
    public enum Quantity: Sendable {
        case operand(Int)
        /// Writes the quantity's entries for one chunk.
        case derived(@Sendable (ElementChunk, inout ElementState, UnsafeMutablePointer<Float>) -> Void)
    }

    public var quantity: Quantity
    public var scope: SelectionScope
    /// k for N entries in scope; may use the results of earlier rounds.
    public var count: @Sendable (Int, ElementState) -> Int
    /// Keep exactly k: of equal magnitudes at the threshold the first ones in row-major order, modules by name.
    public var exact: Bool

    public init(
        quantity: Quantity, scope: SelectionScope = .tensor, exact: Bool = false,
        count: @escaping @Sendable (Int, ElementState) -> Int
    ) {
        self.quantity = quantity
        self.scope = scope
        self.exact = exact
        self.count = count
    }
}

/// The k-th largest magnitude of a selection.
public struct MagnitudeThreshold: Sendable, Hashable {
    /// Bits of |θ|; every magnitude with larger bits is kept.
    public var bits: Int32
    /// How many of the entries with exactly these bits are kept in this module, the first ones first.
    public var tiesKept: Int

    /// Keeps every entry.
    static let everything = MagnitudeThreshold(bits: 0, tiesKept: .max)
    /// Keeps none: no finite magnitude has these bits.
    static let nothing = MagnitudeThreshold(bits: .max, tiesKept: 0)
}

/// Results of the statistics of one module, and what a pass over its entries uses up.
public struct ElementState: Sendable {
    /// By round and selection; a round of another kind has none. `tiesKept` falls while a pass goes on.
    public var thresholds: [[MagnitudeThreshold]] = []
    /// By round; 0 for a round of another kind.
    public var tallies: [Int] = []
    /// By round; empty for a round of another kind.
    public var sums: [[Double]] = []
    /// Operand entries that a selection set to zero so far in this pass.
    public var trimmed = 0
    /// Operand entries that a selection looked at so far in this pass.
    public var examined = 0

    public init() {}
}
