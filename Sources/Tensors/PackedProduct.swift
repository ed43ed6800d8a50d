import CVector

/// A float32 matrix W [outputs, inputs] laid out for products x·Wᵀ that are made many times.
///
/// Each number of a product is the sum of its terms in the order of the inner index, one fused multiply-add per term.
/// The same input row therefore gives the same bits whatever the number of rows, its place among them and the CPU.
/// Runs on 512-bit units where the CPU has them, near its peak from 16 rows on.
public enum PackedProduct {
    /// Number of floats that a packed matrix takes.
    public static func count(outputs: Int, inputs: Int) -> Int { cvector_packed_count(outputs, inputs) }

    /// Vector width in bits that the products use on this CPU.
    public static var vectorBits: Int { Int(cvector_packed_width()) }

    /// Packs alpha · W; its element (o, i) stands at `weight[o * outputStride + i * inputStride]`.
    public static func pack(
        outputs: Int, inputs: Int, weight: UnsafePointer<Float>, outputStride: Int, inputStride: Int, alpha: Float = 1,
        into packed: UnsafeMutablePointer<Float>
    ) {
        cvector_pack(outputs, inputs, weight, outputStride, inputStride, alpha, packed)
    }

    /// y [rows, outputs] := x [rows, inputs] · Wᵀ (+ bias) (+ y when `accumulate`); `ldx`, `ldy` are row strides,
    /// `stepX` the distance of neighbours in a row of x.
    public static func multiply(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Float>, ldx: Int, stepX: Int = 1,
        packed: UnsafePointer<Float>, bias: UnsafePointer<Float>?, y: UnsafeMutablePointer<Float>, ldy: Int,
        accumulate: Bool
    ) {
        cvector_packed_product(rows, outputs, inputs, x, ldx, stepX, packed, bias, y, ldy, accumulate ? 1 : 0)
    }

    /// y := GELU(x) = x·Φ(x) and, where `derivative` is given, its slope there; `y` or `derivative` may be `x` itself.
    /// Relative error at most 1e-6 where |x| ≤ 13; the same bits on every CPU.
    public static func gelu(
        _ count: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
        derivative: UnsafeMutablePointer<Float>?
    ) {
        cvector_gelu(count, x, y, derivative)
    }
}
