import LinearAlgebra
import Tensors

/// The second half of a merge: forms the factors of one module from what the analysis kept.
struct FactorForming: Sendable {
    let zeroNonFinite: Bool
    let spool: Spool

    /// A* [rank, n] and B* [m, rank] in single precision, without padding.
    func factors(_ task: ModuleTask, _ merged: MergedModule) throws -> FactorPair {
        let stack = FactorStack(task, zeroNonFinite: zeroNonFinite)
        defer { stack.releasePages() }
        var pair: FactorPair
        switch merged.source {
        case .zero:
            pair = FactorPair(a: Matrix(rows: 1, columns: task.columns), b: Matrix(rows: task.rows, columns: 1))
        case .concatenation(let scalings): pair = try concatenate(stack, scalings)
        case .projection(let handle, let precise):
            pair =
                precise
                ? try project(stack, merged, handle, as: Double.self)
                : try project(stack, merged, handle, as: Float.self)
        case .stored(let handle): pair = try stored(task, merged, handle)
        case .factorwise: pair = try factorwise(task, stack)
        case .deferred(let form): pair = try form()
        }
        if merged.hasFreeSigns { pair.fixSigns() }
        if merged.scale != 1 {
            let shares = merged.split.shares(signed: merged.scale)
            pair = FactorPair(a: pair.a.scaled(by: Float(shares.a)), b: pair.b.scaled(by: Float(shares.b)))
        }
        if let quantile = merged.clampQuantile { pair.clamp(quantile: quantile) }
        return pair
    }

    private func concatenate(_ stack: FactorStack, _ scalings: [MergedModule.OperandScaling]) throws -> FactorPair {
        let rank = stack.totalRank
        var a = try Matrix<Float>(rows: rank, columns: stack.columns) { target in
            guard let to = target.baseAddress else { return }
            try stack.loadA(0..<stack.columns, into: to)
        }
        var b = try Matrix<Float>(rows: stack.rows, columns: rank) { target in
            guard let to = target.baseAddress else { return }
            for start in stride(from: 0, to: stack.rows, by: FactorStack.chunk) {
                try stack.loadB(start..<min(start + FactorStack.chunk, stack.rows), into: to + start * rank)
            }
        }
        for (range, scaling) in zip(stack.ranges, scalings) {
            FactorForming.scale(&a, rows: range, by: scaling.a)
            FactorForming.scale(&b, columns: range, by: scaling.b)
        }
        return FactorPair(a: a, b: b)
    }

    private static func scale(_ matrix: inout Matrix<Float>, rows: Range<Int>, by factor: Double) {
        guard factor != 1 else { return }
        let columns = matrix.columns
        matrix.elements.withUnsafeMutableBufferPointer { values in
            for i in rows.lowerBound * columns..<rows.upperBound * columns {
                values[i] = Float(Double(values[i]) * factor)
            }
        }
    }

    private static func scale(_ matrix: inout Matrix<Float>, columns: Range<Int>, by factor: Double) {
        guard factor != 1 else { return }
        let (rows, width) = (matrix.rows, matrix.columns)
        matrix.elements.withUnsafeMutableBufferPointer { values in
            for row in 0..<rows {
                for j in columns { values[row &* width &+ j] = Float(Double(values[row &* width &+ j]) * factor) }
            }
        }
    }

    private func project<S: StackScalar>(
        _ stack: FactorStack, _ merged: MergedModule, _ handle: Spool.Handle, as type: S.Type
    ) throws -> FactorPair {
        let count = stack.totalRank * merged.rank
        let bytes = count * MemoryLayout<Double>.stride
        let x = Matrix<S>(
            rows: stack.totalRank, columns: merged.rank,
            elements: try spool.readArray(handle, at: 0, count: count, of: Double.self).map { S($0) })
        let y = Matrix<S>(
            rows: merged.rank, columns: stack.totalRank,
            elements: try spool.readArray(handle, at: bytes, count: count, of: Double.self).map { S($0) })
        return FactorPair(
            a: try Matrix(rows: merged.rank, columns: stack.columns) { target in
                if let to = target.baseAddress { try FactorProduct.right(stack, y, into: to) }
            },
            b: try Matrix(rows: stack.rows, columns: merged.rank) { target in
                if let to = target.baseAddress { try FactorProduct.left(stack, x, into: to) }
            })
    }

    private func stored(_ task: ModuleTask, _ merged: MergedModule, _ handle: Spool.Handle) throws -> FactorPair {
        let (first, second) = (merged.rank * task.columns, task.rows * merged.rank)
        return FactorPair(
            a: Matrix(
                rows: merged.rank, columns: task.columns,
                elements: try spool.readArray(handle, at: 0, count: first, of: Float.self)),
            b: Matrix(
                rows: task.rows, columns: merged.rank,
                elements: try spool.readArray(handle, at: first * 4, count: second, of: Float.self)))
    }

    private func factorwise(_ task: ModuleTask, _ stack: FactorStack) throws -> FactorPair {
        guard case .factors(_, let merge) = task.rule else { throw task.nonFiniteResult }
        return try merge(task.context, try task.operands.indices.map { try stack.pair($0) })
    }
}

extension FactorPair {
    /// ‖B·A‖F through the two Gram matrices.
    func frobenius() throws -> Double {
        let left = try FactorPair.gram(b, transposed: true)
        let right = try FactorPair.gram(a, transposed: false)
        var sum = 0.0
        for i in left.elements.indices { sum += left.elements[i] * right.elements[i] }
        return max(sum, 0).squareRoot()
    }

    /// BᵀB, or A·Aᵀ: sums of 2048 terms in single precision, added up in double precision.
    private static func gram(_ matrix: Matrix<Float>, transposed: Bool) throws -> Matrix<Double> {
        let size = transposed ? matrix.columns : matrix.rows
        let length = transposed ? matrix.rows : matrix.columns
        var result = Matrix<Double>(rows: size, columns: size)
        var part = Matrix<Float>(rows: size, columns: size)
        let n = try blasDimension(size)
        let stride = try blasDimension(max(1, matrix.columns))
        for start in Swift.stride(from: 0, to: length, by: 2048) {
            let count = min(2048, length - start)
            matrix.elements.withUnsafeBufferPointer { values in
                part.elements.withUnsafeMutableBufferPointer { part in
                    guard let from = values.baseAddress, let to = part.baseAddress else { return }
                    Float.syrk(
                        transpose: transposed, n: n, k: Int32(count), alpha: 1,
                        a: from + (transposed ? start * matrix.columns : start), lda: stride, beta: 0, c: to, ldc: n)
                }
            }
            for i in 0..<size {
                for j in i..<size { result[i, j] += Double(part[i, j]) }
            }
        }
        for i in 0..<size {
            for j in 0..<i { result[i, j] = result[j, i] }
        }
        return result
    }

    /// Makes the entry of largest magnitude in each column of B positive (the first of equals); A follows.
    mutating func fixSigns() {
        let (rows, rank) = (b.rows, b.columns)
        var extremes = [Float](repeating: 0, count: rank)
        b.elements.withUnsafeBufferPointer { values in
            extremes.withUnsafeMutableBufferPointer { extremes in
                for row in 0..<rows {
                    for j in 0..<rank {
                        let x = values[row &* rank &+ j]
                        extremes[j] = abs(x) > abs(extremes[j]) ? x : extremes[j]
                    }
                }
            }
        }
        guard extremes.contains(where: { $0 < 0 }) else { return }
        let signs = extremes.map { $0 < 0 ? -1 : 1 as Float }
        b = b.scalingColumns(by: signs)
        a = a.scalingRows(by: signs)
    }

    /// Clamps all entries to ±h, h = the `quantile` (linear interpolation) of the signed entries of both factors.
    mutating func clamp(quantile: Double) {
        let sorted = (a.elements + b.elements).sorted()
        guard let last = sorted.last else { return }
        let position = quantile * Double(sorted.count - 1)
        let index = min(max(Int(position), 0), sorted.count - 1)
        let next = index + 1 < sorted.count ? sorted[index + 1] : last
        let limit = Float(Double(sorted[index]) + (position - Double(index)) * Double(next - sorted[index]))
        for i in a.elements.indices { a.elements[i] = min(max(a.elements[i], -limit), limit) }
        for i in b.elements.indices { b.elements[i] = min(max(b.elements[i], -limit), limit) }
    }
}
