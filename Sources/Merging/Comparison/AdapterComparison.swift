import Adapters
import Diagnostics
import Dispatch
import LinearAlgebra
import Synchronization

/// How alike adapters are, pair by pair, and what that means for merging them.
///
/// With Δ_i = s_i B_i A_i and sums over the modules that both adapters of a pair have, with equal shapes:
///
/// - cosine = Σ⟨Δ_i, Δ_j⟩ / √(Σ‖Δ_i‖² · Σ‖Δ_j‖²), from the Gram matrices of the factors, exact in double precision;
/// - sign conflict = share of the entries where Δ_i and Δ_j have opposite signs (a zero opposes nothing);
/// - subspace overlap = mean over modules of ‖U_iᵀU_j‖²_F / min(rank_i, rank_j), with U the left singular vectors of Δ
///   (its column space) above 1e-6 of the largest singular value; the same for the right singular vectors.
///
/// No dense ΔW is kept: signs are counted in blocks of rows. Results do not depend on the number of threads.
public struct AdapterComparison: Sendable {
    public struct Options: Sendable {
        public var threads = 2
        /// Rows are drawn when there are more entries than this: per module, so many blocks of 64 rows that the share
        /// is kept. Default 2^28.
        public var exactEntries = 1 << 28
        /// Which rows are drawn.
        public var seed: UInt64 = 0

        public init() {}
    }

    /// The adapters, as they were named.
    public var names: [String]
    /// T×T; nil where a pair has no common module or one of the two is zero.
    public var cosine: [[Double?]]
    /// T×T, 0…1.
    public var signConflict: [[Double?]]
    /// T×T, 0…1: column spaces of the updates.
    public var subspaceOverlap: [[Double?]]
    /// T×T, 0…1: row spaces of the updates.
    public var inputOverlap: [[Double?]]
    /// Share of the entries whose signs were looked at; 1 when all were.
    public var signShare: Double
    /// Every module of any adapter, sorted, with ‖Δ_i‖_F per adapter (nil: absent).
    public var modules: [ModuleNorms]
    public var ranks: RankNeeds
    public var advice: MergeAdvice
    /// What is left out of the numbers: DoRA magnitudes, biases, modules of different shapes.
    public var notes: [String]

    public struct ModuleNorms: Sendable {
        public var name: String
        public var norms: [Double?]
    }

    /// What rank a merge of all adapters needs.
    public struct RankNeeds: Sendable {
        /// Largest Σ r_i over the modules: the rank of an exact sum.
        public var sumOfRanks: Int
        /// Largest numerical rank of Σ Δ_i over the modules.
        public var exact: Int
        /// Ranks that keep these shares of Σσ² of Σ Δ_i: the largest and the mean over the modules.
        public var energy: [(share: Double, largest: Int, mean: Double)]
    }

    /// Compares at least two adapters.
    ///
    /// - Throws: `usage.bad_argument` for fewer, `merge.non_finite`, `numeric.*`.
    public static func compare(
        _ adapters: [NamedAdapter], options: Options = Options(), progress: any ProgressReporting = SilentProgress()
    ) throws -> AdapterComparison {
        guard adapters.count >= 2 else {
            throw Failure(.usageBadArgument, "a comparison needs two adapters, \(adapters.count) given")
        }
        let inputs = ModuleComparison.inputs(of: adapters)
        let entries = inputs.reduce(0) { $0 + $1.entries }
        let share = entries > options.exactEntries ? Double(options.exactEntries) / Double(entries) : 1
        progress.begin("comparing", total: Int64(inputs.count), unit: "modules")
        defer { progress.end() }
        let results = try ordered(inputs.count, threads: options.threads) { index in
            defer { progress.advance(by: 1) }
            return try ModuleComparison(inputs[index], adapters: adapters, signShare: share, seed: options.seed)
        }
        return summary(results, adapters: adapters, signShare: share)
    }

    /// Runs `work` for 0..<count on several threads; results in order, the error of the smallest index is thrown.
    private static func ordered<Value: Sendable>(
        _ count: Int, threads: Int, _ work: @escaping @Sendable (Int) throws -> Value
    ) throws -> [Value] {
        let next = Atomic<Int>(0)
        let found = Mutex<[Int: Result<Value, any Error>]>([:])
        DispatchQueue.concurrentPerform(iterations: max(1, min(threads, count))) { _ in
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                let result = Result { try work(index) }
                found.withLock { $0[index] = result }
            }
        }
        let results = found.withLock { $0 }
        return try (0..<count).compactMap { try results[$0]?.get() }
    }

    private static func summary(
        _ results: [ModuleComparison], adapters: [NamedAdapter], signShare: Double
    ) -> AdapterComparison {
        let count = adapters.count
        var inner = PairTable(count)
        var opposite = PairTable(count)
        var seen = PairTable(count)
        var left = PairTable(count)
        var right = PairTable(count)
        var spaces = PairTable(count)
        var squares = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
        for result in results {
            for (i, a) in result.members.enumerated() {
                for (j, b) in result.members.enumerated() {
                    inner[a, b] += result.inner[i, j]
                    squares[a][b] += result.inner[i, i]
                    opposite[a, b] += result.opposite[i, j]
                    seen[a, b] += result.entriesSeen
                    guard result.supports[i] > 0, result.supports[j] > 0 else { continue }
                    left[a, b] += result.leftOverlap[i, j]
                    right[a, b] += result.rightOverlap[i, j]
                    spaces[a, b] += 1
                }
            }
        }
        let cosine = (0..<count).map { a in
            (0..<count).map { b -> Double? in
                let norm = (squares[a][b] * squares[b][a]).squareRoot()
                return norm > 0 ? a == b ? 1 : min(1, max(-1, inner[a, b] / norm)) : nil
            }
        }
        let comparison = AdapterComparison(
            names: adapters.map(\.reference), cosine: cosine, signConflict: opposite.divided(by: seen),
            subspaceOverlap: left.divided(by: spaces), inputOverlap: right.divided(by: spaces), signShare: signShare,
            modules: results.map { $0.moduleNorms(count) }, ranks: rankNeeds(results),
            advice: MergeAdvice(sentence: "", methods: [], grounds: []), notes: notes(adapters, results))
        var advised = comparison
        advised.advice = MergeAdvice(for: comparison)
        return advised
    }

    private static func rankNeeds(_ results: [ModuleComparison]) -> RankNeeds {
        let shares = [0.9, 0.99]
        return RankNeeds(
            sumOfRanks: results.map(\.sumOfRanks).max() ?? 0, exact: results.map(\.exactRank).max() ?? 0,
            energy: shares.enumerated().map { index, share in
                let ranks = results.map { $0.energyRanks[index] }
                let mean = ranks.isEmpty ? 0 : Double(ranks.reduce(0, +)) / Double(ranks.count)
                return (share, ranks.max() ?? 0, mean)
            })
    }

    private static func notes(_ adapters: [NamedAdapter], _ results: [ModuleComparison]) -> [String] {
        var notes: [String] = []
        for adapter in adapters where adapter.adapter.modules.contains(where: { $0.magnitude != nil }) {
            notes.append("'\(adapter.reference)' has DoRA magnitudes: only its B·A is compared")
        }
        let bases = Set(adapters.map(\.adapter.base.name).filter { !$0.isEmpty })
        if bases.count > 1 {
            notes.append("the adapters name different base models: \(bases.sorted().joined(separator: ", "))")
        }
        let differing = results.filter(\.shapesDiffer).count
        if differing > 0 { notes.append("\(differing) modules have different shapes and are left out") }
        return notes
    }
}

/// A symmetric table of sums over pairs.
struct PairTable {
    private let count: Int
    private var values: [Double]

    init(_ count: Int) {
        self.count = count
        values = [Double](repeating: 0, count: count * count)
    }

    subscript(row: Int, column: Int) -> Double {
        get { values[row * count + column] }
        set { values[row * count + column] = newValue }
    }

    /// Quotients; nil where the divisor is zero.
    func divided(by other: PairTable) -> [[Double?]] {
        (0..<count).map { row in
            (0..<count).map { other[row, $0] > 0 ? self[row, $0] / other[row, $0] : nil }
        }
    }
}
