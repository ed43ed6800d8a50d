import Diagnostics
import LinearAlgebra
import Tensors

/// The factors of all operands of a module side by side, read piece by piece from the mapped files:
/// Bcat = [B_0 … B_{T-1}] (m×R) and Acat = [A_0; …; A_{T-1}] (R×n), without scalings and weights (merge-methods 1.1).
struct FactorStack: Sendable {
    let rows: Int
    let columns: Int
    /// R
    let totalRank: Int
    let operands: [DeltaOperand]
    /// Columns of Bcat, rows of Acat, that belong to each operand.
    let ranges: [Range<Int>]
    /// Replace NaN and infinities by zero instead of refusing them.
    let zeroNonFinite: Bool

    /// Rows of Bcat, or columns of Acat, that are worked on at a time; fixed, so that sums never depend on memory
    /// limits or threads.
    static let chunk = 512

    init(_ task: ModuleTask, zeroNonFinite: Bool) {
        self.init(
            operands: task.operands, rows: task.rows, columns: task.columns, zeroNonFinite: zeroNonFinite)
    }

    init(operands: [DeltaOperand], rows: Int, columns: Int, zeroNonFinite: Bool) {
        self.operands = operands
        self.rows = rows
        self.columns = columns
        self.zeroNonFinite = zeroNonFinite
        var ranges: [Range<Int>] = []
        for operand in operands {
            let start = ranges.last?.upperBound ?? 0
            ranges.append(start..<start + operand.rank)
        }
        self.ranges = ranges
        totalRank = ranges.last?.upperBound ?? 0
    }

    /// Copies rows `range` of Bcat, row-major, to `target` [range.count, R].
    func loadB<S: StackScalar>(_ range: Range<Int>, into target: UnsafeMutablePointer<S>) throws {
        let widest = operands.map(\.rank).max() ?? 0
        guard widest > 0 else { return }
        try withUnsafeTemporaryAllocation(of: S.self, capacity: widest * range.count) { scratch in
            for (operand, place) in zip(operands, ranges) {
                guard case .factors(_, let b) = operand.content, let from = scratch.baseAddress else { continue }
                let rank = operand.rank
                let elements = range.lowerBound * rank..<range.upperBound * rank
                try load(
                    b, elements, of: operand, into: UnsafeMutableBufferPointer(rebasing: scratch[..<elements.count]))
                for row in 0..<range.count {
                    let to = target + row * totalRank + place.lowerBound
                    to.update(from: from + row * rank, count: rank)
                }
            }
        }
    }

    /// Copies columns `range` of Acat, row-major, to `target` [R, range.count].
    func loadA<S: StackScalar>(_ range: Range<Int>, into target: UnsafeMutablePointer<S>) throws {
        for (operand, place) in zip(operands, ranges) {
            guard case .factors(let a, _) = operand.content else { continue }
            for row in 0..<operand.rank {
                let start = row * columns
                let to = target + (place.lowerBound + row) * range.count
                try load(
                    a, start + range.lowerBound..<start + range.upperBound, of: operand,
                    into: UnsafeMutableBufferPointer(start: to, count: range.count))
            }
        }
    }

    /// The whole factors of operand `i`, unscaled.
    func pair(_ i: Int) throws -> FactorPair {
        let operand = operands[i]
        guard case .factors(let a, let b) = operand.content else {
            return FactorPair(a: Matrix(rows: 0, columns: columns), b: Matrix(rows: rows, columns: 0))
        }
        return FactorPair(
            a: try Matrix(rows: operand.rank, columns: columns) { try load(a, 0..<a.count, of: operand, into: $0) },
            b: try Matrix(rows: rows, columns: operand.rank) { try load(b, 0..<b.count, of: operand, into: $0) })
    }

    /// A of operand `i` alone, unscaled.
    func a(_ i: Int) throws -> Matrix<Float> {
        let operand = operands[i]
        guard case .factors(let a, _) = operand.content else { return Matrix(rows: 0, columns: columns) }
        return try Matrix(rows: operand.rank, columns: columns) { try load(a, 0..<a.count, of: operand, into: $0) }
    }

    /// B of operand `i` alone, unscaled.
    func b(_ i: Int) throws -> Matrix<Float> {
        let operand = operands[i]
        guard case .factors(_, let b) = operand.content else { return Matrix(rows: rows, columns: 0) }
        return try Matrix(rows: rows, columns: operand.rank) { try load(b, 0..<b.count, of: operand, into: $0) }
    }

    /// Converts a stretch of a tensor and deals with NaN and infinities.
    func load<S: StackScalar>(
        _ tensor: TensorView, _ elements: Range<Int>, of operand: DeltaOperand,
        into target: UnsafeMutableBufferPointer<S>
    ) throws {
        try S.copy(tensor, elements, into: target)
        guard S.firstNonFinite(UnsafeBufferPointer(target)) != nil else { return }
        guard zeroNonFinite else { throw try FactorStack.nonFinite(tensor, adapter: operand.adapter) }
        for i in 0..<target.count where !target[i].isFinite { target[i] = 0 }
    }

    func releasePages() {
        for operand in operands { operand.releasePages() }
    }

    /// The error that tells how many NaN and infinities a tensor holds and where the first one is.
    static func nonFinite(_ tensor: TensorView, adapter: String) throws -> Failure {
        let statistics = try tensor.statistics()
        let count = statistics.nans + statistics.infinities
        let first = min(statistics.firstNaN ?? .max, statistics.firstInfinity ?? .max)
        return Failure(
            .mergeNonFinite,
            "adapter '\(adapter)' holds \(count) NaN or infinite \(count == 1 ? "entry" : "entries"), the first one at "
                + "index \(first)",
            place: tensor.name, hint: "non_finite: zero replaces them by zero",
            details: ["count": "\(count)", "first_index": "\(first)"])
    }
}

/// `Float` and `Double` as targets of reading tensors.
protocol StackScalar: BLASScalar {
    static func copy(_ tensor: TensorView, _ elements: Range<Int>, into target: UnsafeMutableBufferPointer<Self>) throws
}

extension Float: StackScalar {
    static func copy(
        _ tensor: TensorView, _ elements: Range<Int>, into target: UnsafeMutableBufferPointer<Float>
    ) throws { try tensor.copy(elements: elements, into: target) }
}

extension Double: StackScalar {
    static func copy(
        _ tensor: TensorView, _ elements: Range<Int>, into target: UnsafeMutableBufferPointer<Double>
    ) throws { try tensor.copy(elements: elements, into: target) }
}

extension FactorStack {
    /// All operands with their scalings, in single precision; zero adapters get rank 0.
    func lowRankFactors() throws -> [LowRankFactors] {
        try operands.indices.map { i in
            let pair = try pair(i)
            return LowRankFactors(b: pair.b, a: pair.a, scale: operands[i].scale)
        }
    }
}
