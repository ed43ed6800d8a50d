import Tensors

/// Sign election and disjoint merge (merge-methods 2.5) over the entries of one chunk.
struct SignElection: Sendable {
    typealias Vote = ElectedSum.Vote
    typealias Reduction = ElectedSum.Reduction

    /// The sign of an entry where S = 0.
    enum ZeroSign: String, Sendable, CaseIterable {
        case plus
        /// The sign of Σ sign(S) over all entries in scope; the negative side when that is 0 too.
        case majority
        /// None: such an entry becomes 0.
        case none = "zero"
    }

    private let sum: ElectedSum

    /// - Parameters:
    ///   - votes: v_i in the election, and the sign with which an entry is compared with the elected one.
    ///   - weights: v_i in the merge.
    ///   - scale: λ
    init(votes: [Double], weights: [Double], vote: Vote, reduction: Reduction, scale: Double) {
        sum = ElectedSum(votes: votes, weights: weights, vote: vote, reduction: reduction, scale: scale)
    }

    /// Writes λ · disjoint(X, γ). `zeroSign` is ±1 or 0.
    func merge(_ chunk: ElementChunk, zeroSign: Double, into output: UnsafeMutablePointer<Float>) {
        sum.merge(chunk.operands, offset: chunk.offset, count: chunk.count, zeroSign: zeroSign, into: output)
    }

    /// Σ sign(S) over the chunk, for `ZeroSign.majority`.
    func balance(_ chunk: ElementChunk) -> Int {
        sum.balance(chunk.operands, offset: chunk.offset, count: chunk.count)
    }
}
