import LinearAlgebra
import Tensors

/// Element type of a network: `Float` for work, `Double` for checking gradients with finite differences.
public protocol NetworkScalar: BLASScalar {
    associatedtype Lanes: LaneVector where Lanes.Scalar == Self

    /// Number of elements of a packed [outputs, inputs] matrix.
    static func packedCount(outputs: Int, inputs: Int) -> Int
    /// Packs a matrix whose element (o, i) stands at `weight[o * outputStride + i * inputStride]`.
    static func pack(
        outputs: Int, inputs: Int, weight: UnsafePointer<Self>, outputStride: Int, inputStride: Int,
        into packed: UnsafeMutablePointer<Self>)
    /// y := x · Wᵀ (+ bias) (+ y when `accumulate`) with W packed.
    static func multiplyPacked(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Self>, ldx: Int, packed: UnsafePointer<Self>,
        bias: UnsafePointer<Self>?, y: UnsafeMutablePointer<Self>, ldy: Int, accumulate: Bool)
    /// Rounds a matrix W [outputs, inputs] to bfloat16 and packs it into `BFloat16Product.count` elements.
    static func packBFloat16(
        outputs: Int, inputs: Int, weight: UnsafePointer<Self>, into packed: UnsafeMutablePointer<UInt16>)
    /// y := x · Wᵀ (+ bias) (+ y when `accumulate`) with x rounded to bfloat16 and W packed by `packBFloat16`.
    static func multiplyBFloat16(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Self>, ldx: Int, packed: UnsafePointer<UInt16>,
        bias: UnsafePointer<Self>?, y: UnsafeMutablePointer<Self>, ldy: Int, accumulate: Bool)
    /// C := alpha · op(A) · op(B), added to C when `accumulate`, row-major.
    static func multiplyOnce(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Self, a: UnsafePointer<Self>, lda: Int,
        b: UnsafePointer<Self>, ldb: Int, accumulate: Bool, c: UnsafeMutablePointer<Self>, ldc: Int)
    /// y := x·Φ(x) and, where wanted, its derivative.
    static func gelu(
        _ count: Int, _ x: UnsafePointer<Self>, into y: UnsafeMutablePointer<Self>,
        derivative: UnsafeMutablePointer<Self>?)
    /// Converts all elements of a tensor.
    static func copy(_ tensor: TensorView, into target: UnsafeMutableBufferPointer<Self>) throws
}

extension Float: NetworkScalar {
    public typealias Lanes = FloatLanes

    public static func packedCount(outputs: Int, inputs: Int) -> Int {
        PackedProduct.count(outputs: outputs, inputs: inputs)
    }

    public static func pack(
        outputs: Int, inputs: Int, weight: UnsafePointer<Float>, outputStride: Int, inputStride: Int,
        into packed: UnsafeMutablePointer<Float>
    ) {
        PackedProduct.pack(
            outputs: outputs, inputs: inputs, weight: weight, outputStride: outputStride, inputStride: inputStride,
            into: packed)
    }

    public static func multiplyPacked(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Float>, ldx: Int, packed: UnsafePointer<Float>,
        bias: UnsafePointer<Float>?, y: UnsafeMutablePointer<Float>, ldy: Int, accumulate: Bool
    ) {
        PackedProduct.multiply(
            rows: rows, outputs: outputs, inputs: inputs, x: x, ldx: ldx, packed: packed, bias: bias, y: y, ldy: ldy,
            accumulate: accumulate)
    }

    public static func packBFloat16(
        outputs: Int, inputs: Int, weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<UInt16>
    ) {
        BFloat16Product.pack(
            outputs: outputs, inputs: inputs, weight: weight, outputStride: inputs, inputStride: 1, into: packed)
    }

    public static func multiplyBFloat16(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Float>, ldx: Int, packed: UnsafePointer<UInt16>,
        bias: UnsafePointer<Float>?, y: UnsafeMutablePointer<Float>, ldy: Int, accumulate: Bool
    ) {
        BFloat16Product.multiply(
            rows: rows, outputs: outputs, inputs: inputs, x: x, ldx: ldx, packed: packed, bias: bias, y: y, ldy: ldy,
            accumulate: accumulate)
    }

    /// Packs op(B) and multiplies: the bits of a row depend on that row and op(B) alone, and on no BLAS library, which
    /// on a processor that it does not know may fall back to kernels of 2004.
    public static func multiplyOnce(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int,
        b: UnsafePointer<Float>, ldb: Int, accumulate: Bool, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        let count = PackedProduct.count(outputs: n, inputs: k)
        ThreadRoom.with(bytes: count * MemoryLayout<Float>.stride) { room in
            let base = room.bindMemory(to: Float.self, capacity: count)
            PackedProduct.pack(
                outputs: n, inputs: k, weight: b, outputStride: transposeB ? ldb : 1,
                inputStride: transposeB ? 1 : ldb, alpha: alpha, into: base)
            PackedProduct.multiply(
                rows: m, outputs: n, inputs: k, x: a, ldx: transposeA ? 1 : lda, stepX: transposeA ? lda : 1,
                packed: base, bias: nil, y: c, ldy: ldc, accumulate: accumulate)
        }
    }

    public static func gelu(
        _ count: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
        derivative: UnsafeMutablePointer<Float>?
    ) {
        PackedProduct.gelu(count, x, into: y, derivative: derivative)
    }

    public static func copy(_ tensor: TensorView, into target: UnsafeMutableBufferPointer<Float>) throws {
        try tensor.copy(into: target)
    }
}

extension Double: NetworkScalar {
    public typealias Lanes = DoubleLanes

    public static func packedCount(outputs: Int, inputs: Int) -> Int { outputs * inputs }

    public static func pack(
        outputs: Int, inputs: Int, weight: UnsafePointer<Double>, outputStride: Int, inputStride: Int,
        into packed: UnsafeMutablePointer<Double>
    ) {
        for o in 0..<outputs {
            for i in 0..<inputs { packed[o * inputs + i] = weight[o * outputStride + i * inputStride] }
        }
    }

    public static func multiplyPacked(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Double>, ldx: Int, packed: UnsafePointer<Double>,
        bias: UnsafePointer<Double>?, y: UnsafeMutablePointer<Double>, ldy: Int, accumulate: Bool
    ) {
        for row in 0..<rows {
            let line = x + row * ldx
            for o in 0..<outputs {
                let weights = packed + o * inputs
                var sum = 0.0
                for i in 0..<inputs { sum += line[i] * weights[i] }
                if let bias { sum += bias[o] }
                y[row * ldy + o] = accumulate ? y[row * ldy + o] + sum : sum
            }
        }
    }

    public static func packBFloat16(
        outputs: Int, inputs: Int, weight: UnsafePointer<Double>, into packed: UnsafeMutablePointer<UInt16>
    ) {
        for i in 0..<outputs * inputs {
            packed[i] = UInt16(BFloat16Product.rounded(Float(weight[i])).bitPattern >> 16)
        }
    }

    /// Sums in double precision, so that it shows what rounding to bfloat16 alone does.
    public static func multiplyBFloat16(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Double>, ldx: Int, packed: UnsafePointer<UInt16>,
        bias: UnsafePointer<Double>?, y: UnsafeMutablePointer<Double>, ldy: Int, accumulate: Bool
    ) {
        for row in 0..<rows {
            for o in 0..<outputs {
                var sum = bias?[o] ?? 0
                for i in 0..<inputs {
                    let weight = Float(bitPattern: UInt32(packed[o * inputs + i]) << 16)
                    sum += Double(BFloat16Product.rounded(Float(x[row * ldx + i]))) * Double(weight)
                }
                y[row * ldy + o] = accumulate ? y[row * ldy + o] + sum : sum
            }
        }
    }

    public static func multiplyOnce(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double, a: UnsafePointer<Double>, lda: Int,
        b: UnsafePointer<Double>, ldb: Int, accumulate: Bool, c: UnsafeMutablePointer<Double>, ldc: Int
    ) {
        gemm(
            transposeA: transposeA, transposeB: transposeB, m: Int32(m), n: Int32(n), k: Int32(k), alpha: alpha, a: a,
            lda: Int32(lda), b: b, ldb: Int32(ldb), beta: accumulate ? 1 : 0, c: c, ldc: Int32(ldc))
    }

    public static func gelu(
        _ count: Int, _ x: UnsafePointer<Double>, into y: UnsafeMutablePointer<Double>,
        derivative: UnsafeMutablePointer<Double>?
    ) {
        geluLanes(count, x, y, derivative: derivative)
    }

    public static func copy(_ tensor: TensorView, into target: UnsafeMutableBufferPointer<Double>) throws {
        try tensor.copy(into: target)
    }
}

extension NetworkScalar {
    /// C := alpha · op(A) · op(B) (+ C when `accumulate`), row-major. Dimensions were checked when the backbone was loaded.
    @inline(__always)
    static func multiply(
        transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, alpha: Self = 1,
        a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>, ldb: Int, accumulate: Bool = false,
        c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        if m == 0 || n == 0 { return }
        multiplyOnce(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b,
            ldb: ldb, accumulate: accumulate, c: c, ldc: ldc)
    }
}
