/// RAM: entries that one model touches are summed, entries that several touch are averaged (merge-methods 6.2).
extension MergeMethod {
    static let mergekitRAM = mergekit(
        id: "ram", title: "mergekit ram",
        summary: "Adds entries that only one model touches and averages those that several touch.",
        exactness: .elementwise, parameters: [.touchLimit],
        cost: "one pass over all m·n entries, then recompression"
    ) { _ in
        .elements { context in
            TouchedMean(adapters: context.operandCount, limit: try context.number("epsilon")).elementRule()
        }
    }

    static let mergekitRAMPlus = mergekit(
        id: "ramplus_tl", title: "mergekit ramplus_tl",
        summary: "Like ram, and strengthens what a model alone touches when it shares much of the rest.",
        exactness: .elementwise,
        parameters: [
            .touchLimit,
            ParameterDeclaration("r", .number, default: .number(0.1), summary: "strength of the reinforcement"),
            ParameterDeclaration(
                "alpha", .number, default: .number(0.2), range: .nonNegative,
                summary: "largest ratio of shared to own entries that counts"),
        ],
        cost: "two passes over all m·n entries, then recompression"
    ) { _ in
        .elements { context in
            TouchedMean(
                adapters: context.operandCount, limit: try context.number("epsilon"), strength: try context.number("r"),
                ceiling: try context.number("alpha")
            ).elementRule()
        }
    }
}

extension ParameterDeclaration {
    static let touchLimit = ParameterDeclaration(
        "epsilon", .number, default: .number(1e-5), range: .nonNegative,
        summary: "a model touches an entry that it changes by more than this")
}

/// The rule of `ram` and `ramplus_tl`.
private struct TouchedMean: Sendable {
    let adapters: Int
    let limit: Double
    var strength = 0.0
    var ceiling = 0.0

    func elementRule() -> ElementRule {
        guard strength != 0 else {
            return ElementRule { chunk, _, output in merge(chunk, [Double](repeating: 1, count: adapters), output) }
        }
        let counts = StatisticsRound.sums(count: 2 * adapters) { chunk, _, sums in
            for e in 0..<chunk.count {
                let touching = touching(chunk, e)
                for i in 0..<adapters where isTouched(chunk, i, e) { sums[2 * i + (touching > 1 ? 1 : 0)] += 1 }
            }
        }
        return ElementRule(rounds: [counts]) { chunk, state, output in
            let factors = (0..<adapters).map { i in
                let (own, shared) = (state.sums[0][2 * i], state.sums[0][2 * i + 1])
                return 1 + strength * min(max(shared / max(own, limit), 0), ceiling)
            }
            merge(chunk, factors, output)
        }
    }

    private func isTouched(_ chunk: ElementChunk, _ i: Int, _ e: Int) -> Bool {
        Double(abs(chunk.operand(i)[e])) > limit
    }

    private func touching(_ chunk: ElementChunk, _ e: Int) -> Int {
        (0..<adapters).reduce(0) { $0 + (isTouched(chunk, $1, e) ? 1 : 0) }
    }

    /// - Parameter factors: for entries that one model alone touches.
    private func merge(_ chunk: ElementChunk, _ factors: [Double], _ output: UnsafeMutablePointer<Float>) {
        for e in 0..<chunk.count {
            var (sum, count, alone) = (0.0, 0, 0)
            for i in 0..<adapters where isTouched(chunk, i, e) {
                sum += Double(chunk.operand(i)[e])
                count += 1
                alone = i
            }
            output[e] = Float(count > 1 ? sum / Double(count) : count == 1 ? sum * factors[alone] : 0)
        }
    }
}
