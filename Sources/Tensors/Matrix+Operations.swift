extension Matrix {
    /// The n×n identity.
    public static func identity(_ n: Int) -> Matrix {
        var result = Matrix(rows: n, columns: n)
        for i in 0..<n { result[i, i] = 1 }
        return result
    }

    /// The columns of `range` as a rows×range.count matrix.
    @inlinable
    public func columns(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return Matrix(
            rows: rows, columns: range.count,
            writtenBy: { target in
                elements.withUnsafeBufferPointer { source in
                    guard let from = source.baseAddress, let to = target.baseAddress else { return }
                    for i in 0..<rows {
                        (to + i * range.count)
                            .initialize(from: from + i * columns + range.lowerBound, count: range.count)
                    }
                }
            })
    }

    /// The rows of `range` as a range.count×columns matrix.
    @inlinable
    public func rows(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        let slice = elements[range.lowerBound * columns..<range.upperBound * columns]
        return Matrix(rows: range.count, columns: columns, elements: Array(slice))
    }

    /// The transpose; works in square tiles so that both sides stay in cache.
    @inlinable
    public func transposed() -> Matrix {
        Matrix(
            rows: columns, columns: rows,
            writtenBy: { target in
                elements.withUnsafeBufferPointer { source in
                    guard let from = source.baseAddress, let to = target.baseAddress else { return }
                    let tile = 16
                    for i0 in stride(from: 0, to: rows, by: tile) {
                        for j0 in stride(from: 0, to: columns, by: tile) {
                            for j in j0..<min(j0 + tile, columns) {
                                for i in i0..<min(i0 + tile, rows) { to[j &* rows &+ i] = from[i &* columns &+ j] }
                            }
                        }
                    }
                }
            })
    }

    /// Every element times `factor`.
    @inlinable
    public func scaled(by factor: Element) -> Matrix {
        Matrix(
            rows: rows, columns: columns,
            writtenBy: { target in
                elements.withUnsafeBufferPointer { source in
                    guard let from = source.baseAddress, let to = target.baseAddress else { return }
                    for i in 0..<source.count { to[i] = from[i] * factor }
                }
            })
    }

    /// Row i times `factors[i]`.
    @inlinable
    public func scalingRows(by factors: [Element]) -> Matrix {
        precondition(factors.count == rows)
        var result = self
        result.elements.withUnsafeMutableBufferPointer { buffer in
            for i in 0..<rows {
                for j in 0..<columns { buffer[i &* columns &+ j] *= factors[i] }
            }
        }
        return result
    }

    /// Column j times `factors[j]`.
    @inlinable
    public func scalingColumns(by factors: [Element]) -> Matrix {
        precondition(factors.count == columns)
        var result = self
        result.elements.withUnsafeMutableBufferPointer { buffer in
            for i in 0..<rows {
                for j in 0..<columns { buffer[i &* columns &+ j] *= factors[j] }
            }
        }
        return result
    }

    /// The matrices side by side; all have the same number of rows.
    public static func sideBySide(_ parts: [Matrix]) -> Matrix {
        let rows = parts.first?.rows ?? 0
        precondition(parts.allSatisfy { $0.rows == rows })
        var result = Matrix(rows: rows, columns: parts.reduce(0) { $0 + $1.columns })
        var start = 0
        for part in parts {
            for i in 0..<rows {
                let row = part.elements[i * part.columns..<(i + 1) * part.columns]
                result.elements.replaceSubrange(
                    i * result.columns + start..<i * result.columns + start + part.columns, with: row)
            }
            start += part.columns
        }
        return result
    }

    /// The matrices one below the other; all have the same number of columns.
    public static func stacked(_ parts: [Matrix]) -> Matrix {
        let columns = parts.first?.columns ?? 0
        precondition(parts.allSatisfy { $0.columns == columns })
        var elements: [Element] = []
        elements.reserveCapacity(parts.reduce(0) { $0 + $1.elements.count })
        for part in parts { elements += part.elements }
        return Matrix(rows: parts.reduce(0) { $0 + $1.rows }, columns: columns, elements: elements)
    }
}

extension Matrix<Float> {
    /// √Σx², summed in double precision.
    public var frobeniusNorm: Double { elements.withUnsafeBufferPointer { ValueScan.sumOfSquares($0) }.squareRoot() }

    /// The same numbers in double precision.
    public var inDouble: Matrix<Double> {
        Matrix<Double>(
            rows: rows, columns: columns,
            writtenBy: { target in
                elements.withUnsafeBufferPointer { FloatConversion.widen($0, into: target) }
            })
    }
}

extension Matrix<Double> {
    /// √Σx².
    public var frobeniusNorm: Double { elements.withUnsafeBufferPointer { ValueScan.sumOfSquares($0) }.squareRoot() }

    /// The numbers rounded to single precision.
    public var inFloat: Matrix<Float> {
        Matrix<Float>(
            rows: rows, columns: columns,
            writtenBy: { target in
                elements.withUnsafeBufferPointer { FloatConversion.narrow($0, into: target) }
            })
    }
}
