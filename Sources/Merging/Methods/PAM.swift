import Diagnostics
import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Aligned merging of a stream of adapters (merge-methods 3.19 b). The state starts as w_1 Δ_1; what of a newcomer
    /// w_t Δ_t opposes the important part of the state is taken away (all of it, or 1−γ of it), then both are combined.
    static let pam = MergeMethod(
        MethodDescription(
            id: "pam", title: "Aligned merging",
            summary: "Adds adapters one after the other and removes from each newcomer what opposes the important "
                + "directions, entries or factor entries of what is there already.",
            exactness: .spectral,
            source: "PAM, Sokar et al. 2025, arXiv 2506.03189; direction-wise form of this project",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "space", .choice(PAM.Space.allCases.map(\.rawValue)), default: .text("direction"),
                    summary: "compare singular directions, entries of the update, or entries of the factors"),
                ParameterDeclaration(
                    "share", .number, default: .number(0.5), range: .unit,
                    summary: "share of the state that counts as important"),
                ParameterDeclaration(
                    "resolve", .choice(PAM.Resolution.allCases.map(\.rawValue)), default: .text("shrink"),
                    summary: "remove what opposes, shrink it to gamma, or (factor only) copy the state's entry"),
                ParameterDeclaration(
                    "gamma", .number, default: .number(0), range: .unit,
                    summary: "share of the opposing part that stays with resolve: shrink"),
                ParameterDeclaration(
                    "combine", .choice(PAM.Combination.allCases.map(\.rawValue)), default: .text("average"),
                    summary: "running mean, addition of alpha times the newcomer, or mean of the two"),
                ParameterDeclaration(
                    "alpha", .number, default: .number(0.1), summary: "factor of the newcomer with combine: add"),
                ParameterDeclaration(
                    "force", .bool, default: .bool(false),
                    summary: "space: factor even for adapters that did not start from the same factors"),
            ],
            sequential: true,
            cost: "direction: one R×R decomposition per adapter; delta: two passes over all entries per adapter"),
        choosing: { context in
            let pam = try PAM(context)
            switch pam.space {
            case .direction: return .spectral { _, space in MergedCore(try pam.mergeCores(space)) }
            case .delta: return .elements { _ in pam.elementRule() }
            case .factor:
                return .factors(
                    rank: { try $0.commonRank() }, merge: { context, pairs in try pam.merge(pairs, context) })
            }
        },
        output: { context in
            OutputPreference(rank: try context.word("space", as: PAM.Space.self) == .delta ? .auto : nil)
        })
}

/// The settings of the method `pam` for one module, and its three forms.
struct PAM: Sendable {
    enum Space: String, Sendable, CaseIterable { case direction, delta, factor }
    enum Resolution: String, Sendable, CaseIterable { case zero, shrink, slow }
    enum Combination: String, Sendable, CaseIterable {
        case average, add
        case pairMean = "pair_mean"
    }

    let space: Space
    let share: Double
    let resolution: Resolution
    /// γ, what stays of an opposing part.
    let remaining: Double
    let combination: Combination
    let alpha: Double
    let lambda: Double
    let weights: [Double]

    /// Adapters whose A factors have a smaller cosine did not start from the same initial factors.
    static let sameGauge = 0.5

    init(_ context: MethodContext) throws {
        space = try context.word("space")
        share = try context.number("share")
        resolution = try context.word("resolve")
        remaining = resolution == .shrink ? try context.number("gamma") : 0
        combination = try context.word("combine")
        alpha = try context.number("alpha")
        lambda = try context.number("lambda")
        weights = context.weights
        guard space == .factor || resolution != .slow else {
            throw Failure(.recipeBadParameter, "resolve: slow needs space: factor", place: context.module)
        }
    }

    /// (kept share of the state, share of the newcomer) when the newcomer is number t, counted from 1.
    func shares(_ t: Int) -> (state: Double, newcomer: Double) {
        switch combination {
        case .average: (Double(t - 1) / Double(t), 1 / Double(t))
        case .add: (1, alpha)
        case .pairMean: (0.5, 0.5)
        }
    }

    // MARK: Directions

    /// On the cores, exact and without truncation: p_j = u_jᵀ C v_j for the ⌈share·ρ⌉ largest singular values of the
    /// state; where p_j < 0, (1−γ)·p_j·u_j v_jᵀ is taken away.
    func mergeCores(_ space: CoreSpace) throws -> Matrix<Double> {
        guard space.count > 0 else { return space.zero }
        var state = try space.core(0).scaled(by: weights[0])
        for t in 1..<max(1, space.count) {
            let svd = try supportSVD(state)
            let important = svd.truncated(to: Int((share * Double(svd.sigma.count) - 1e-9).rounded(.up)))
            var newcomer = try space.core(t).scaled(by: weights[t])
            let projections = try multiply(
                multiply(important.u, newcomer, transposeA: true), important.vt, transposeB: true)
            let removed = important.sigma.indices.map { j in -(1 - remaining) * min(projections[j, j], 0) }
            newcomer = newcomer.adding(try multiply(important.u.scalingColumns(by: removed), important.vt))
            let shares = shares(t + 1)
            state = state.scaled(by: shares.state).adding(newcomer.scaled(by: shares.newcomer))
        }
        return state.scaled(by: lambda)
    }

    // MARK: Entries

    /// On the entries of the updates: among the ⌊share·N⌋ largest entries of the state (all of those at the threshold
    /// count) the strictly opposite ones of the newcomer are multiplied by γ.
    func elementRule() -> ElementRule {
        let rounds = (1..<max(1, weights.count)).map { t in
            StatisticsRound.select([
                MagnitudeSelection(
                    quantity: .derived { chunk, state, values in
                        follow(chunk, state.thresholds.map { $0[0] }, until: t - 1, into: values)
                    },
                    count: { entries, _ in MagnitudeTrim.Rounding.floor.count(density: share, of: entries) })
            ])
        }
        return ElementRule(rounds: rounds) { chunk, state, output in
            follow(chunk, state.thresholds.map { $0[0] }, until: weights.count - 1, into: output)
            for e in 0..<chunk.count { output[e] = Float(lambda * Double(output[e])) }
        }
    }

    /// The state after newcomer number `last` (0 = the first adapter alone).
    private func follow(
        _ chunk: ElementChunk, _ thresholds: [MagnitudeThreshold], until last: Int,
        into state: UnsafeMutablePointer<Float>
    ) {
        let first = chunk.operand(0)
        for e in 0..<chunk.count { state[e] = Float(weights[0] * Double(first[e])) }
        for t in 1..<(last + 1) {
            let (weight, shares, limit) = (weights[t], shares(t + 1), thresholds[t - 1].bits)
            let x = chunk.operand(t)
            for e in 0..<chunk.count {
                let old = Double(state[e])
                let new = weight * Double(x[e])
                let important = Int32(bitPattern: state[e].bitPattern & 0x7FFF_FFFF) >= limit
                let resolved = important && old * new < 0 ? remaining * new : new
                state[e] = Float(shares.state * old + shares.newcomer * resolved)
            }
        }
    }

    // MARK: Factors

    /// On A and B separately, with the signed root of w·s folded into them.
    func merge(_ pairs: [FactorPair], _ context: MethodContext) throws -> FactorPair {
        let padded = try context.padded(pairs)
        if try !context.flag("force") { try checkGauge(padded, context) }
        let weights = context.factorWeights(scaled: true)
        return FactorPair(
            a: try mergeFactors(padded.map(\.a), weights.map(\.a)).scaled(by: Float(lambda)),
            b: try mergeFactors(padded.map(\.b), weights.map(\.b)))
    }

    private func mergeFactors(_ factors: [Matrix<Float>], _ weights: [Double]) throws -> Matrix<Float> {
        guard let first = factors.first else { return Matrix(rows: 0, columns: 0) }
        var state = first.elements.map { Float(weights[0] * Double($0)) }
        for t in 1..<max(1, factors.count) {
            let k = MagnitudeTrim.Rounding.floor.count(density: share, of: state.count)
            let limit = state.withUnsafeBufferPointer { values in
                values.baseAddress.map { RowSelection.threshold($0, count: values.count, k: k, exact: false) }
            }
            let bits = limit?.bits ?? .max
            let shares = shares(t + 1)
            for e in state.indices {
                let old = Double(state[e])
                let new = weights[t] * Double(factors[t].elements[e])
                let opposes = Int32(bitPattern: state[e].bitPattern & 0x7FFF_FFFF) >= bits && old * new < 0
                let resolved = opposes ? (resolution == .slow ? old : remaining * new) : new
                state[e] = Float(shares.state * old + shares.newcomer * resolved)
            }
        }
        return Matrix(rows: first.rows, columns: first.columns, elements: state)
    }

    private func checkGauge(_ pairs: [FactorPair], _ context: MethodContext) throws {
        for (t, pair) in pairs.enumerated().dropFirst() {
            let (first, other) = (pairs[0].a.elements, pair.a.elements)
            let inner = zip(first, other).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            let cosine = inner / max(pairs[0].a.frobeniusNorm * pair.a.frobeniusNorm, .leastNormalMagnitude)
            guard cosine >= PAM.sameGauge else {
                throw Failure(
                    .mergeModuleMismatch,
                    "'\(context.adapterNames[t])' and '\(context.adapterNames[0])' did not start from the same factors "
                        + "(cosine of A: \(cosine))",
                    place: context.module, hint: "use space: direction, or force: true")
            }
        }
    }
}

extension Matrix<Double> {
    func adding(_ other: Matrix<Double>) -> Matrix<Double> {
        var sum = self
        for i in sum.elements.indices { sum.elements[i] += other.elements[i] }
        return sum
    }
}
