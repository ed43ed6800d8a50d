import Diagnostics
import LinearAlgebra
import Tensors

/// Turns features into one score per class.
///
/// A sample's scores never depend on the samples beside it: every product runs row by row in a fixed order.
public protocol ClassHead: Sendable {
    /// Numbers per feature.
    var width: Int { get }
    var classCount: Int { get }

    /// Scores [samples, classes] of features [samples, width].
    func logits(_ features: Matrix<Float>) -> Matrix<Float>
}

/// `logits = scale · (f · wᵀ) + b`, optionally with f and w scaled to unit length (cosine head).
public struct LinearHead: ClassHead {
    /// [classes, width], rows in the class order of the data.
    public var weight: Matrix<Float>
    /// One number per class; empty for none.
    public var bias: [Float]
    public var scale: Float
    /// Scale each feature to unit length first.
    public var normalizesFeatures: Bool

    public var width: Int { weight.columns }
    public var classCount: Int { weight.rows }

    public init(weight: Matrix<Float>, bias: [Float] = [], scale: Float = 1, normalizesFeatures: Bool = false) {
        self.weight = weight
        self.bias = bias
        self.scale = scale
        self.normalizesFeatures = normalizesFeatures
    }

    /// A cosine head: rows of `weight` and features have unit length, `scale` is κ.
    public static func cosine(_ weight: Matrix<Float>, scale: Float = 16) -> LinearHead {
        LinearHead(weight: FeatureRows.unitLength(weight), scale: scale, normalizesFeatures: true)
    }

    public func logits(_ features: Matrix<Float>) -> Matrix<Float> {
        let input = normalizesFeatures ? FeatureRows.unitLength(features) : features
        var result = FeatureRows.products(input, weight)
        let bias = bias.isEmpty ? [Float](repeating: 0, count: classCount) : bias
        for row in 0..<result.rows {
            for label in 0..<classCount { result[row, label] = scale * result[row, label] + bias[label] }
        }
        return result
    }
}

/// Row-wise work on features.
public enum FeatureRows {
    /// Each row divided by its Euclidean length (summed in double precision); zero rows stay zero.
    public static func unitLength(_ features: Matrix<Float>) -> Matrix<Float> {
        var result = features
        for row in 0..<features.rows {
            let range = row * features.columns..<(row + 1) * features.columns
            let squares = features.elements[range].reduce(0.0) { $0 + Double($1) * Double($1) }
            guard squares > 0 else { continue }
            let factor = 1 / squares.squareRoot()
            for index in range { result.elements[index] = Float(Double(features.elements[index]) * factor) }
        }
        return result
    }

    /// `a · bᵀ`, each entry by one dot product in a fixed order.
    static func products(_ a: Matrix<Float>, _ b: Matrix<Float>) -> Matrix<Float> {
        var result = Matrix<Float>(rows: a.rows, columns: b.rows)
        a.elements.withUnsafeBufferPointer { left in
            b.elements.withUnsafeBufferPointer { right in
                guard let left = left.baseAddress, let right = right.baseAddress else { return }
                for row in 0..<a.rows {
                    for column in 0..<b.rows {
                        result[row, column] = dot(left + row * a.columns, right + column * b.columns, a.columns)
                    }
                }
            }
        }
        return result
    }

    /// Dot product in 32 lanes; the order of additions is fixed.
    @inline(__always)
    static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
        var lanes = (SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero)
        var index = 0
        while index &+ 32 <= count {
            let p = UnsafeRawPointer(a + index)
            let q = UnsafeRawPointer(b + index)
            lanes.0 += p.loadUnaligned(as: SIMD8<Float>.self) * q.loadUnaligned(as: SIMD8<Float>.self)
            lanes.1 +=
                p.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
                * q.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
            lanes.2 +=
                p.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self)
                * q.loadUnaligned(fromByteOffset: 64, as: SIMD8<Float>.self)
            lanes.3 +=
                p.loadUnaligned(fromByteOffset: 96, as: SIMD8<Float>.self)
                * q.loadUnaligned(fromByteOffset: 96, as: SIMD8<Float>.self)
            index &+= 32
        }
        var sum = (lanes.0 + lanes.1 + lanes.2 + lanes.3).sum()
        while index < count {
            sum += a[index] * b[index]
            index &+= 1
        }
        return sum
    }
}
