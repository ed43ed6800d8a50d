/// Sets a part of every operand's entries to zero (and may rescale the rest): the first half of most rules of class E.
protocol Sparsifier: Sendable {
    /// Statistics that it needs; they come first, so that their results are those of the rounds from 0 on.
    var rounds: [StatisticsRound] { get }
    var needsWholeRows: Bool { get }
    /// Overwrites the operands of a chunk.
    func apply(_ chunk: ElementChunk, _ state: inout ElementState)
}

extension MagnitudeTrim: Sparsifier {}

extension ElementRule {
    /// Sparsify, then Σ c_i X_i, added in double precision in recipe order.
    init(_ sparsifier: some Sparsifier, coefficients: [Double]) {
        self.init(rounds: sparsifier.rounds, needsWholeRows: sparsifier.needsWholeRows) { chunk, state, output in
            sparsifier.apply(chunk, &state)
            WeightedEntries.sum(chunk, coefficients, into: output)
        }
    }

    /// Sparsify, elect signs, merge what agrees.
    ///
    /// - Parameter scope: which entries decide a drawn vote under `zero_sign: majority`.
    init(
        _ sparsifier: some Sparsifier, election: SignElection, zeroSign: SignElection.ZeroSign = .plus,
        scope: SelectionScope = .tensor
    ) {
        var rounds = sparsifier.rounds
        let balance = rounds.count
        if zeroSign == .majority {
            rounds.append(
                .tally(scope: scope) { chunk, state in
                    sparsifier.apply(chunk, &state)
                    return election.balance(chunk)
                })
        }
        self.init(rounds: rounds, needsWholeRows: sparsifier.needsWholeRows) { chunk, state, output in
            sparsifier.apply(chunk, &state)
            let draw: Double =
                switch zeroSign {
                case .plus: 1
                case .none: 0
                case .majority: state.tallies[balance] > 0 ? 1 : -1
                }
            election.merge(chunk, zeroSign: draw, into: output)
        }
    }
}

/// How kept entries make up for dropped ones.
enum Rescaling: String, Sendable, CaseIterable {
    /// Divide by the keep probability: unbiased.
    case inverse
    /// Restore the sum of magnitudes of the tensor.
    case l1
    case none
}

/// Works through long stretches of entries with a small buffer of numbers beside them.
enum Stretches {
    static let length = 1024

    /// Calls `body` with every stretch of `count` entries: its first entry, its length, and scratch of that length.
    static func forEach(_ count: Int, _ body: (Int, Int, UnsafeMutableBufferPointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: length) { scratch in
            for start in stride(from: 0, to: count, by: length) {
                let size = min(length, count - start)
                body(start, size, UnsafeMutableBufferPointer(rebasing: scratch[..<size]))
            }
        }
    }
}
