import Tensors

extension MergeMethod {
    /// Select, calculate, erase (merge-methods 3.10):
    ///
    ///     select   : keep the ⌊select_topk · #(var ≠ 0)⌋ entries with the largest variance over the adapters
    ///     calculate: c_i = Σ X_i² / Σ_j Σ X_j²
    ///     erase    : elect signs by the plain sum;  Δ* = λ Σ c_i M_i X_i / max(Σ c_i M_i, 1e-6)
    static let sce = MergeMethod(
        MethodDescription(
            id: "sce", title: "Select, calculate, erase",
            summary: "Keeps the entries on which the adapters differ most, weights the adapters by their energy there, "
                + "and leaves out minority signs.",
            exactness: .elementwise, source: "SCE, FuseChat 3.0, arXiv 2408.07990",
            parameters: [
                .lambda(), .selectTopK,
                ParameterDeclaration(
                    "erase", .bool, default: .bool(true), summary: "leave out entries that oppose the elected sign"),
            ],
            cost: "two to five passes over all m·n entries, then recompression"),
        .elements { context in
            try SCERule(
                adapters: context.operandCount, topK: context.number("select_topk"), erases: context.flag("erase"),
                scale: context.number("lambda"), rounding: .floor
            ).elementRule()
        })
}

extension ParameterDeclaration {
    static let selectTopK = ParameterDeclaration(
        "select_topk", .number, default: .number(1), range: .unit,
        summary: "share of the entries with any variance that is kept")
}

/// The rule of `sce`, natively and for mergekit.
struct SCERule: Sendable {
    let adapters: Int
    let topK: Double
    let erases: Bool
    let scale: Double
    let rounding: MagnitudeTrim.Rounding

    func elementRule() -> ElementRule {
        guard topK > 0 else {
            return ElementRule { chunk, _, output in output.update(repeating: 0, count: chunk.count) }
        }
        let selects = topK < 1
        var rounds: [StatisticsRound] = []
        if selects {
            rounds = [
                .tally(scope: .tensor) { chunk, _ in
                    (0..<chunk.count).reduce(0) { $0 + (variance(chunk, $1) != 0 ? 1 : 0) }
                },
                .select([
                    MagnitudeSelection(
                        quantity: .derived { chunk, _, values in
                            for e in 0..<chunk.count { values[e] = variance(chunk, e) }
                        }, exact: true
                    ) { _, state in rounding.count(density: topK, of: state.tallies[0]) }
                ]),
            ]
        }
        let energies = rounds.count
        rounds.append(
            .sums(count: adapters + 1) { chunk, state, sums in
                sums[adapters] = Double(chunk.count)
                if selects { select(chunk, &state) }
                for i in 0..<adapters {
                    let x = chunk.operand(i)
                    for e in 0..<chunk.count { sums[i] += Double(x[e]) * Double(x[e]) }
                }
            })
        return ElementRule(rounds: rounds) { chunk, state, output in
            if selects { select(chunk, &state) }
            merge(chunk, coefficients(state.sums[energies]), output)
        }
    }

    /// Population variance over the adapters.
    private func variance(_ chunk: ElementChunk, _ e: Int) -> Float {
        var mean = 0.0
        for i in 0..<adapters { mean += Double(chunk.operand(i)[e]) }
        mean /= Double(adapters)
        var sum = 0.0
        for i in 0..<adapters {
            let difference = Double(chunk.operand(i)[e]) - mean
            sum += difference * difference
        }
        return Float(sum / Double(adapters))
    }

    private func select(_ chunk: ElementChunk, _ state: inout ElementState) {
        var threshold = state.thresholds[1][0]
        for e in 0..<chunk.count {
            let bits = Int32(bitPattern: variance(chunk, e).bitPattern & 0x7FFF_FFFF)
            guard !OutlierTrim.isAmongLargest(bits, &threshold) else { continue }
            for i in 0..<adapters { chunk.operand(i)[e] = 0 }
        }
        state.thresholds[1][0] = threshold
    }

    /// Shares of the mean squares; uniform where their sum is below 1e-6.
    private func coefficients(_ sums: [Double]) -> [Double] {
        let squares = sums.prefix(adapters)
        let sum = squares.reduce(0, +)
        guard sum / max(1, sums[adapters]) >= 1e-6 else {
            return squares.map { _ in 1 / Double(max(1, squares.count)) }
        }
        return squares.map { $0 / sum }
    }

    private func merge(_ chunk: ElementChunk, _ c: [Double], _ output: UnsafeMutablePointer<Float>) {
        for e in 0..<chunk.count {
            var sum = 0.0
            for i in 0..<adapters { sum += Double(chunk.operand(i)[e]) }
            let sign: Double = sum >= 0 ? 1 : -1
            var (numerator, divisor) = (0.0, 0.0)
            for i in 0..<adapters {
                let x = Double(chunk.operand(i)[e])
                guard !erases || x * sign > 0 else { continue }
                numerator += c[i] * x
                divisor += c[i]
            }
            output[e] = Float(scale * numerator / max(divisor, 1e-6))
        }
    }
}
