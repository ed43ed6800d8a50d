import Testing

@testable import Tensors

@Suite struct MagnitudeCountTests {
    static let values: [Float] = {
        var random = CounterRandom(seed: 7, stream: "magnitudes")
        var values = (0..<1_003).map { Float(random.word(UInt64($0)) % 4_001) / 1_000 - 2 }
        values[3] = 0
        values[4] = -0.0
        values[5] = .leastNonzeroMagnitude
        values[6] = .infinity
        values[7] = -.infinity
        values[8] = -.greatestFiniteMagnitude
        return values
    }()

    /// Lengths with and without a remainder of whole vectors, ranges with entries below, inside and above.
    @Test(arguments: [0, 1, 15, 16, 17, 1_003], [0, 3, 16])
    func countsAreThoseOfALoop(_ count: Int, _ shift: Int) {
        let bins = shift == 16 ? 1 << 15 : 1 << 12
        for low in [0, Float(0.5).bitPattern, Float(1.5).bitPattern, 0x7F00_0000] as [UInt32] {
            var expected = [UInt32](repeating: 0, count: bins)
            var above = 0
            for value in Self.values.prefix(count) {
                let bits = value.bitPattern & 0x7FFF_FFFF
                guard bits >= low else { continue }
                let bin = Int((bits - low) >> UInt32(shift))
                if bin < bins { expected[bin] += 1 } else { above += 1 }
            }
            var found = [UInt32](repeating: 0, count: bins)
            let foundAbove = Self.values.withUnsafeBufferPointer { values in
                found.withUnsafeMutableBufferPointer { bins in
                    values.baseAddress.map {
                        MagnitudeCount.add($0, count: count, low: low, shift: shift, to: bins)
                    }
                }
            }
            #expect(foundAbove == above)
            #expect(found == expected, "low \(low)")
        }
    }
}

@Suite struct ElectedSumTests {
    /// Plain loops over merge-methods 2.5.
    private static func merged(_ sum: ElectedSum, _ x: [[Float]], _ e: Int, _ zeroSign: Double) -> Float {
        var score = 0.0
        for i in x.indices {
            let value = Double(x[i][e])
            let sign: Double = value > 0 ? 1 : value < 0 ? -1 : 0
            let own: Double = sum.votes[i] > 0 ? 1 : sum.votes[i] < 0 ? -1 : 0
            score += sum.vote == .sum ? sum.votes[i] * value : own * sign
        }
        let elected: Double = score > 0 ? 1 : score < 0 ? -1 : zeroSign
        let agreeing = x.indices.filter { sum.votes[$0] * Double(x[$0][e]) * elected > 0 }
        let parts = agreeing.map { sum.weights[$0] * Double(x[$0][e]) }
        let total = parts.reduce(0, +)
        switch sum.reduction {
        case .sum: return Float(sum.scale * total)
        case .mean: return Float(sum.scale * (total / Double(max(1, agreeing.count))))
        case .weightedMean:
            let divisor = agreeing.reduce(0) { $0 + sum.weights[$1] }
            return Float(sum.scale * (total / (divisor == 0 ? 1 : divisor)))
        case .max: return Float(sum.scale * (elected * (parts.map { abs($0) }.max() ?? 0)))
        }
    }

    @Test(arguments: ElectedSum.Vote.allCases, ElectedSum.Reduction.allCases)
    func equalsPlainLoops(_ vote: ElectedSum.Vote, _ reduction: ElectedSum.Reduction) {
        let random = CounterRandom(seed: 11, stream: "election")
        for (operands, count, offset) in [(1, 5, 0), (3, 8, 2), (5, 29, 3)] {
            // Small whole numbers, so that draws and zeros happen.
            var x = (0..<operands).map { i in
                (0..<offset + count).map { Float(Int(random.word(UInt64(100 * i + $0)) % 5) - 2) }
            }
            for i in x.indices { x[i][offset] = 0 }
            let votes = (0..<operands).map { [1.0, -0.5, 2, 0, 0.25][$0] }
            let weights = (0..<operands).map { [0.5, 1.0, -2, 3, 0.75][$0] }
            let sum = ElectedSum(votes: votes, weights: weights, vote: vote, reduction: reduction, scale: 0.7)
            for zeroSign in [1.0, -1, 0] {
                let (found, balance) = Self.run(sum, &x, offset, count, zeroSign)
                let expected = (0..<count).map { Self.merged(sum, x, offset + $0, zeroSign) }
                #expect(found == expected, "\(operands) operands, zero sign \(zeroSign)")
                let scores = (0..<count).map { e in
                    x.indices.reduce(0.0) { total, i in
                        let value = votes[i] * Double(x[i][offset + e])
                        return total + (vote == .sum ? value : value > 0 ? 1 : value < 0 ? -1 : 0)
                    }
                }
                #expect(balance == scores.count { $0 > 0 } - scores.count { $0 < 0 })
            }
        }
    }

    private static func run(
        _ sum: ElectedSum, _ x: inout [[Float]], _ offset: Int, _ count: Int, _ zeroSign: Double
    ) -> ([Float], Int) {
        let pointers = x.map { row in
            let pointer = UnsafeMutablePointer<Float>.allocate(capacity: row.count)
            pointer.initialize(from: row, count: row.count)
            return pointer
        }
        defer { for pointer in pointers { pointer.deallocate() } }
        var output = [Float](repeating: .nan, count: count)
        let balance = pointers.withUnsafeBufferPointer { operands in
            output.withUnsafeMutableBufferPointer { target in
                if let base = target.baseAddress {
                    sum.merge(operands, offset: offset, count: count, zeroSign: zeroSign, into: base)
                }
            }
            return sum.balance(operands, offset: offset, count: count)
        }
        return (output, balance)
    }
}
