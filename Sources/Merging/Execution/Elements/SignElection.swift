/// Sign election and disjoint merge (merge-methods 2.5) over the entries of one chunk.
struct SignElection: Sendable {
    enum Vote: String, Sendable, CaseIterable {
        /// S = Σ v_i X_i
        case sum
        /// S = Σ sign(v_i X_i)
        case count
    }

    /// The sign of an entry where S = 0.
    enum ZeroSign: String, Sendable, CaseIterable {
        case plus
        /// The sign of Σ sign(S) over all entries in scope; the negative side when that is 0 too.
        case majority
        /// None: such an entry becomes 0.
        case none = "zero"
    }

    enum Reduction: String, Sendable, CaseIterable {
        case mean
        case weightedMean = "weighted_mean"
        case sum
        case max
    }

    /// v_i in the election, and the sign with which an entry is compared with the elected one.
    var votes: [Double]
    /// v_i in the merge.
    var weights: [Double]
    var vote: Vote
    var reduction: Reduction
    /// λ
    var scale: Double

    /// Entries that are worked on at a time: three buffers of this length stay in L1.
    private static let stretch = 512

    /// Writes λ · disjoint(X, γ). `zeroSign` is ±1 or 0.
    func merge(_ chunk: ElementChunk, zeroSign: Double, into output: UnsafeMutablePointer<Float>) {
        withScratch { scores, numerator, divisor in
            for start in stride(from: 0, to: chunk.count, by: SignElection.stretch) {
                let count = min(SignElection.stretch, chunk.count - start)
                elect(chunk, start, count, scores)
                for e in 0..<count {
                    scores[e] = scores[e] > 0 ? 1 : scores[e] < 0 ? -1 : zeroSign
                    numerator[e] = 0
                    divisor[e] = 0
                }
                for i in 0..<chunk.operandCount {
                    accumulate(i, chunk.operand(i) + start, count, scores, numerator, divisor)
                }
                finish(count, scores, numerator, divisor, output + start)
            }
        }
    }

    /// Σ sign(S) over the chunk, for `ZeroSign.majority`.
    func balance(_ chunk: ElementChunk) -> Int {
        withScratch { scores, _, _ in
            var total = 0
            for start in stride(from: 0, to: chunk.count, by: SignElection.stretch) {
                let count = min(SignElection.stretch, chunk.count - start)
                elect(chunk, start, count, scores)
                for e in 0..<count { total &+= (scores[e] > 0 ? 1 : 0) &- (scores[e] < 0 ? 1 : 0) }
            }
            return total
        }
    }

    private func elect(_ chunk: ElementChunk, _ start: Int, _ count: Int, _ scores: UnsafeMutablePointer<Double>) {
        for e in 0..<count { scores[e] = 0 }
        for i in 0..<chunk.operandCount {
            let x = chunk.operand(i) + start
            let v = votes[i]
            switch vote {
            case .sum:
                for e in 0..<count { scores[e] += v * Double(x[e]) }
            case .count:
                let sign: Double = v > 0 ? 1 : v < 0 ? -1 : 0
                for e in 0..<count { scores[e] += x[e] > 0 ? sign : x[e] < 0 ? -sign : 0 }
            }
        }
    }

    private func accumulate(
        _ i: Int, _ x: UnsafePointer<Float>, _ count: Int, _ signs: UnsafePointer<Double>,
        _ numerator: UnsafeMutablePointer<Double>, _ divisor: UnsafeMutablePointer<Double>
    ) {
        let v = votes[i]
        let w = weights[i]
        switch reduction {
        case .max:
            for e in 0..<count {
                let matches = v * Double(x[e]) * signs[e] > 0
                let value = matches ? abs(w * Double(x[e])) : 0
                numerator[e] = value > numerator[e] ? value : numerator[e]
            }
        case .mean, .sum, .weightedMean:
            let share = reduction == .weightedMean ? w : 1
            for e in 0..<count {
                let matches = v * Double(x[e]) * signs[e] > 0
                numerator[e] += matches ? w * Double(x[e]) : 0
                divisor[e] += matches ? share : 0
            }
        }
    }

    private func finish(
        _ count: Int, _ signs: UnsafePointer<Double>, _ numerator: UnsafePointer<Double>,
        _ divisor: UnsafePointer<Double>, _ output: UnsafeMutablePointer<Float>
    ) {
        switch reduction {
        case .sum: for e in 0..<count { output[e] = Float(scale * numerator[e]) }
        case .max: for e in 0..<count { output[e] = Float(scale * (signs[e] * numerator[e])) }
        case .mean:
            for e in 0..<count { output[e] = Float(scale * (numerator[e] / (divisor[e] > 1 ? divisor[e] : 1))) }
        case .weightedMean:
            for e in 0..<count { output[e] = Float(scale * (numerator[e] / (divisor[e] == 0 ? 1 : divisor[e]))) }
        }
    }

    private func withScratch<Result>(
        _ body: (UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 3 * SignElection.stretch) { buffer in
            let n = SignElection.stretch
            let scores = buffer.extracting(0..<n)
            let numerator = buffer.extracting(n..<2 * n)
            let divisor = buffer.extracting(2 * n..<3 * n)
            // A temporary allocation of fixed positive capacity always has a base address.
            guard let s = scores.baseAddress, let a = numerator.baseAddress, let d = divisor.baseAddress else {
                preconditionFailure("empty scratch")
            }
            return body(s, a, d)
        }
    }
}
