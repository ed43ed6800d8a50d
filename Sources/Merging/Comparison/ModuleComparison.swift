import Adapters
import LinearAlgebra
import Tensors

/// The comparison of all adapters at one module; only those that have it, with one shape.
struct ModuleComparison: Sendable {
    /// What is compared at one module.
    struct Input: Sendable {
        var name: String
        /// Indices of the adapters, ascending.
        var members: [Int]
        var modules: [LoRAModule]
        /// Some adapter has the module in another shape than the first one that has it.
        var shapesDiffer: Bool

        var entries: Int { modules.first.map { $0.dOut * $0.dIn } ?? 0 }
    }

    let name: String
    let members: [Int]
    let shapesDiffer: Bool
    /// ⟨Δ_i, Δ_j⟩
    let inner: Matrix<Double>
    /// Entries with opposite signs among `entriesSeen`.
    let opposite: Matrix<Double>
    let entriesSeen: Double
    /// Numerical ranks.
    let supports: [Int]
    let leftOverlap: Matrix<Double>
    let rightOverlap: Matrix<Double>
    let sumOfRanks: Int
    let exactRank: Int
    /// Ranks that keep 90 % and 99 % of the energy of the sum.
    let energyRanks: [Int]

    /// Every module of any adapter, sorted by name.
    static func inputs(of adapters: [NamedAdapter]) -> [Input] {
        var byName: [String: Input] = [:]
        for (index, adapter) in adapters.enumerated() {
            for module in adapter.adapter.modules {
                var input =
                    byName[module.name] ?? Input(name: module.name, members: [], modules: [], shapesDiffer: false)
                if let first = input.modules.first, first.dOut != module.dOut || first.dIn != module.dIn {
                    input.shapesDiffer = true
                } else {
                    input.members.append(index)
                    input.modules.append(module)
                }
                byName[module.name] = input
            }
        }
        return byName.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// - Parameter signShare: share of the rows whose signs are looked at.
    init(_ input: Input, adapters: [NamedAdapter], signShare: Double, seed: UInt64) throws {
        let factors = try input.modules.map { module in
            try LowRankFactors(
                b: module.b.floatMatrix(rows: module.dOut, columns: module.rank),
                a: module.a.floatMatrix(rows: module.rank, columns: module.dIn), scale: module.scale)
        }
        name = input.name
        members = input.members
        shapesDiffer = input.shapesDiffer
        let core = try JointCore(factors, place: input.name)
        inner = core.gram.inner
        let spaces = try factors.indices.map { try core.adapterSVD($0) }
        supports = spaces.map(\.sigma.count)
        leftOverlap = try ModuleComparison.overlaps(spaces.map(\.u))
        rightOverlap = try ModuleComparison.overlaps(spaces.map { $0.vt.transposed() })
        let signs = SignConflict.count(
            factors, share: signShare, random: CounterRandom(seed: seed, stream: "compare", input.name))
        opposite = signs.opposite
        entriesSeen = signs.entries
        sumOfRanks = factors.reduce(0) { $0 + $1.rank }
        let sum = try core.sum(weights: factors.map { _ in 1 })
        let sigma = sum.elements.isEmpty ? [] : try thinSVD(sum, place: input.name).sigma
        let isZero = (sigma.first ?? 0) == 0
        exactRank = isZero ? 0 : numericalRank(sigma, relative: RankTolerance.fromFiles)
        energyRanks = [0.9, 0.99].map { isZero ? 0 : RankBudget.energy($0).rank(of: sigma) }
    }

    /// ‖Q_iᵀQ_j‖²_F / min(rank_i, rank_j) for orthonormal columns Q.
    private static func overlaps(_ bases: [Matrix<Double>]) throws -> Matrix<Double> {
        var result = Matrix<Double>(rows: bases.count, columns: bases.count)
        for i in bases.indices {
            for j in i..<bases.count {
                let smaller = min(bases[i].columns, bases[j].columns)
                guard smaller > 0 else { continue }
                let norm = try multiply(bases[i], bases[j], transposeA: true).frobeniusNorm
                result[i, j] = min(1, norm * norm / Double(smaller))
                result[j, i] = result[i, j]
            }
        }
        return result
    }

    func moduleNorms(_ count: Int) -> AdapterComparison.ModuleNorms {
        var norms = [Double?](repeating: nil, count: count)
        for (index, member) in members.enumerated() { norms[member] = max(0, inner[index, index]).squareRoot() }
        return .init(name: name, norms: norms)
    }
}
