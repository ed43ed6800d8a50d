import Adapters
import Diagnostics
import LinearAlgebra
import Tensors

/// Reads the updates of a task's operands, rows at a time: X_i = W_i − base, W_i without a base, or an adapter's update.
///
/// Every number is the same whatever rows are asked for at a time.
struct TensorReader {
    let task: TensorTask
    let grid: TensorGrid
    /// Replace NaN and infinities of inputs by zero.
    let zeroNonFinite: Bool
    private let factors: [PackedFactors?]
    private let decompositions: [WeightDecomposition?]

    /// - Parameter grid: any for a task that does not need whole rows; then only `grid.count` matters.
    init(_ task: TensorTask, grid: TensorGrid, zeroNonFinite: Bool) throws {
        self.task = task
        self.grid = grid
        self.zeroNonFinite = zeroNonFinite
        var factors: [PackedFactors?] = []
        var decompositions: [WeightDecomposition?] = []
        for operand in task.operands {
            guard case .module(let module) = operand.content else {
                factors.append(nil)
                decompositions.append(nil)
                continue
            }
            var update = try module.baseFactors()
            try TensorReader.check(&update, operand, zeroNonFinite)
            factors.append(PackedFactors(update))
            decompositions.append(
                try module.magnitude.flatMap { magnitude in
                    try task.base.map { try WeightDecomposition(magnitude, module, update, base: $0) }
                })
        }
        self.factors = factors
        self.decompositions = decompositions
    }

    /// The base, or zeros where there is none.
    func base<S: StackScalar>(_ rows: Range<Int>, into target: UnsafeMutableBufferPointer<S>) throws {
        guard let base = task.base else { return target.update(repeating: 0) }
        try S.copy(base, elements(rows), into: target)
        if zeroNonFinite { TensorReader.clean(target) }
    }

    /// X_i of operand `i`; `base` holds what `base(_:into:)` gave for the same rows.
    func update<S: StackScalar>(
        _ i: Int, _ rows: Range<Int>, base: UnsafePointer<S>, into target: UnsafeMutableBufferPointer<S>
    ) throws {
        switch task.operands[i].content {
        case .zero: target.update(repeating: 0)
        case .weights(let tensor):
            try S.copy(tensor, elements(rows), into: target)
            if task.base != nil {
                for e in 0..<target.count { target[e] -= base[e] }
            }
        case .vector(let tensor, let scale):
            try S.copy(tensor, elements(rows), into: target)
            let scale = S(scale)
            for e in 0..<target.count { target[e] *= scale }
        case .module: try module(i, rows, base: base, into: target)
        }
        if zeroNonFinite { TensorReader.clean(target) }
    }

    private func module<S: StackScalar>(
        _ i: Int, _ rows: Range<Int>, base: UnsafePointer<S>, into target: UnsafeMutableBufferPointer<S>
    ) throws {
        guard let factors = factors[i] else { return }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, target.count)) { scratch in
            let part = UnsafeMutableBufferPointer(rebasing: scratch[..<target.count])
            factors.product(rows: rows, into: part)
            for e in 0..<target.count { target[e] = S(part[e]) }
        }
        decompositions[i]?.apply(rows, columns: grid.columns, base: base, target)
    }

    /// Gives the pages of some rows of base and weights back to the system.
    func release(_ rows: Range<Int>) {
        let elements = elements(rows)
        task.base?.releasePages(elements: elements)
        for operand in task.operands {
            if case .weights(let tensor) = operand.content { tensor.releasePages(elements: elements) }
        }
    }

    private func elements(_ rows: Range<Int>) -> Range<Int> {
        rows.lowerBound * grid.columns..<rows.upperBound * grid.columns
    }

    static func clean<S: StackScalar>(_ values: UnsafeMutableBufferPointer<S>) {
        guard S.firstNonFinite(UnsafeBufferPointer(values)) != nil else { return }
        for e in 0..<values.count where !values[e].isFinite { values[e] = 0 }
    }

    private static func check(_ update: inout LowRankFactors, _ operand: TensorOperand, _ zeroNonFinite: Bool) throws {
        let isFinite = { (matrix: Matrix<Float>) in
            matrix.elements.withUnsafeBufferPointer { ValueScan.firstNonFinite($0) == nil }
        }
        guard !isFinite(update.a) || !isFinite(update.b) else { return }
        guard zeroNonFinite else { throw try InputDefects.failure([operand]) ?? Failure(.mergeNonFinite, "NaN") }
        update.a.elements.withUnsafeMutableBufferPointer { clean($0) }
        update.b.elements.withUnsafeMutableBufferPointer { clean($0) }
    }
}

/// What DoRA makes of base and update: W' = m ∘ (W + ΔW) / ‖W + ΔW‖, norms over the inputs of each output.
struct WeightDecomposition {
    private let magnitude: [Double]
    /// ‖W + ΔW‖ of each column, where the base is stored with the outputs as columns; nil: norms of whole rows.
    private let columnNorms: [Double]?

    init(_ magnitude: TensorView, _ module: LoRAModule, _ update: LowRankFactors, base: TensorView) throws {
        var values = [Double](repeating: 0, count: magnitude.count)
        try values.withUnsafeMutableBufferPointer { try magnitude.copy(into: $0) }
        self.magnitude = values
        let outputs = module.isTransposed ? update.columns : update.rows
        guard values.count == outputs else {
            throw Failure(
                .mergeShapeMismatch, "the magnitude vector has \(values.count) entries for \(outputs) outputs",
                place: module.name)
        }
        columnNorms = module.isTransposed ? try WeightDecomposition.norms(update, base) : nil
    }

    private static func norms(_ update: LowRankFactors, _ base: TensorView) throws -> [Double] {
        let columns = update.columns
        let packed = PackedFactors(update)
        var sums = [Double](repeating: 0, count: columns)
        let height = LowRankFactors.denseTile
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * height * columns) { scratch in
            for start in stride(from: 0, to: update.rows, by: height) {
                let rows = start..<min(start + height, update.rows)
                let count = rows.count * columns
                let delta = UnsafeMutableBufferPointer(rebasing: scratch[..<count])
                let weights = UnsafeMutableBufferPointer(rebasing: scratch[count..<2 * count])
                packed.product(rows: rows, into: delta)
                try base.copy(elements: rows.lowerBound * columns..<rows.upperBound * columns, into: weights)
                for row in 0..<rows.count {
                    for j in 0..<columns {
                        let value = Double(weights[row * columns + j]) + Double(delta[row * columns + j])
                        sums[j] += value * value
                    }
                }
            }
        }
        return sums.map { $0.squareRoot() }
    }

    /// Turns ΔW in `target` into W' − W.
    func apply<S: StackScalar>(
        _ rows: Range<Int>, columns: Int, base: UnsafePointer<S>, _ target: UnsafeMutableBufferPointer<S>
    ) {
        for row in 0..<rows.count {
            let start = row * columns
            var factor = 0.0
            if columnNorms == nil {
                var sum = 0.0
                for e in start..<start + columns {
                    let value = Double(base[e]) + Double(target[e])
                    sum += value * value
                }
                factor = magnitude[rows.lowerBound + row] / sum.squareRoot()
            }
            for j in 0..<columns {
                let e = start + j
                let scale = columnNorms.map { magnitude[j] / $0[j] } ?? factor
                target[e] = S(scale * (Double(base[e]) + Double(target[e])) - Double(base[e]))
            }
        }
    }
}

/// Finds out which input is to blame for a result that is not finite.
enum InputDefects {
    /// The error that names the first operand with a NaN or an infinity, with their count; nil when there is none.
    static func failure(_ operands: [TensorOperand], base: TensorView? = nil) throws -> Failure? {
        if let base, let found = try failure(base, "the base") { return found }
        for operand in operands {
            for tensor in operand.tensors {
                if let found = try failure(tensor, "'\(operand.name)'") { return found }
            }
        }
        return nil
    }

    private static func failure(_ tensor: TensorView, _ owner: String) throws -> Failure? {
        let statistics = try tensor.statistics()
        let count = statistics.nans + statistics.infinities
        guard count > 0 else { return nil }
        let first = min(statistics.firstNaN ?? .max, statistics.firstInfinity ?? .max)
        return Failure(
            .mergeNonFinite,
            "\(owner) holds \(count) NaN or infinite \(count == 1 ? "entry" : "entries"), the first one at index \(first)",
            place: tensor.name, hint: "non_finite: zero replaces them by zero",
            details: ["count": "\(count)", "first_index": "\(first)"])
    }
}
