import CVector

/// Sign election and disjoint merge of several updates, entry by entry (TIES, Yadav et al. 2023, section 3), on the
/// widest vectors that the CPU has. Sums in double precision in the order of the operands; the same bits on every CPU.
public struct ElectedSum: Sendable {
    public enum Vote: String, Sendable, CaseIterable {
        /// S = Σ v_i x_i
        case sum
        /// S = Σ sign(v_i x_i)
        case count

        fileprivate var code: cvector_vote { self == .sum ? CVECTOR_VOTE_SUM : CVECTOR_VOTE_COUNT }
    }

    public enum Reduction: String, Sendable, CaseIterable {
        case mean
        case weightedMean = "weighted_mean"
        case sum
        case max

        fileprivate var code: cvector_reduction {
            switch self {
            case .mean: CVECTOR_MEAN
            case .weightedMean: CVECTOR_WEIGHTED_MEAN
            case .sum: CVECTOR_SUM
            case .max: CVECTOR_MAX
            }
        }
    }

    /// v_i in the election, and the sign with which an entry is compared with the elected one.
    public var votes: [Double]
    /// w_i in the merge.
    public var weights: [Double]
    public var vote: Vote
    public var reduction: Reduction
    /// λ
    public var scale: Double

    /// - Parameter weights: as many as votes.
    public init(votes: [Double], weights: [Double], vote: Vote, reduction: Reduction, scale: Double) {
        precondition(votes.count == weights.count, "\(votes.count) votes, \(weights.count) weights")
        self.votes = votes
        self.weights = weights
        self.vote = vote
        self.reduction = reduction
        self.scale = scale
    }

    /// Writes λ · the reduction over the operands that agree with the elected sign.
    ///
    /// - Parameters:
    ///   - operands: as many as votes; `count` entries of each begin at `offset`.
    ///   - zeroSign: the elected sign where S = 0: ±1, or 0 for none.
    public func merge(
        _ operands: UnsafeBufferPointer<UnsafeMutablePointer<Float>>, offset: Int, count: Int, zeroSign: Double,
        into output: UnsafeMutablePointer<Float>
    ) {
        precondition(operands.count == votes.count, "\(operands.count) operands, \(votes.count) votes")
        ElectedSum.pointers(operands) { pointers in
            cvector_elect_and_merge(
                vote.code, reduction.code, count, operands.count, pointers, offset, votes, weights, zeroSign, scale,
                output)
        }
    }

    /// Σ sign(S) over the entries.
    public func balance(
        _ operands: UnsafeBufferPointer<UnsafeMutablePointer<Float>>, offset: Int, count: Int
    ) -> Int {
        precondition(operands.count == votes.count, "\(operands.count) operands, \(votes.count) votes")
        return ElectedSum.pointers(operands) { pointers in
            cvector_elected_balance(vote.code, count, operands.count, pointers, offset, votes)
        }
    }

    private static func pointers<Result>(
        _ operands: UnsafeBufferPointer<UnsafeMutablePointer<Float>>,
        _ body: (UnsafePointer<UnsafePointer<Float>?>?) -> Result
    ) -> Result {
        // A pointer, an optional pointer and a read-only one have the same layout.
        body(operands.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: UnsafePointer<Float>?.self) })
    }
}
