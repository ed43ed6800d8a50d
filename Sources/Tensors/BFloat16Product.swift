import CVector

/// A matrix W [outputs, inputs] in bfloat16, laid out for products x·Wᵀ whose left side is rounded to bfloat16 as well.
///
/// Sums are in float32, in an order that every kernel keeps: the same input row gives the same bits whatever the number
/// of rows, its place among them and the CPU (save for sums below 1e-38). Where the CPU's own bfloat16 instruction is
/// slower than fused multiply-adds, these are used.
public enum BFloat16Product {
    /// How the products are made.
    public enum Kernel: String, Sendable, CaseIterable {
        case portable, avx2, avx512
        /// The instruction VDPBF16PS.
        case dot

        fileprivate var code: cvector_bf16_kernel {
            switch self {
            case .portable: CVECTOR_BF16_PORTABLE
            case .avx2: CVECTOR_BF16_AVX2
            case .avx512: CVECTOR_BF16_AVX512
            case .dot: CVECTOR_BF16_DOT
            }
        }

        /// Whether this CPU has what the kernel needs.
        public var isAvailable: Bool { cvector_bf16_has(code) != 0 }

        /// The kernel that is taken on this CPU.
        public static var best: Kernel { allCases.first { $0.code == cvector_bf16_best() } ?? .portable }
    }

    /// Number of 16-bit elements that a packed matrix takes.
    public static func count(outputs: Int, inputs: Int) -> Int { cvector_bf16_count(outputs, inputs) }

    /// Rounds and packs W; its element (o, i) stands at `weight[o * outputStride + i * inputStride]`.
    public static func pack(
        outputs: Int, inputs: Int, weight: UnsafePointer<Float>, outputStride: Int, inputStride: Int,
        into packed: UnsafeMutablePointer<UInt16>
    ) {
        cvector_bf16_pack(outputs, inputs, weight, outputStride, inputStride, packed)
    }

    /// y [rows, outputs] := x [rows, inputs] · Wᵀ (+ bias) (+ y when `accumulate`) with x rounded; `ldx`, `ldy` are row
    /// strides. A kernel that the CPU does not have is replaced by the portable one.
    ///
    /// - Parameter packed: as `pack` left it, aligned to 64 bytes.
    public static func multiply(
        rows: Int, outputs: Int, inputs: Int, x: UnsafePointer<Float>, ldx: Int, packed: UnsafePointer<UInt16>,
        bias: UnsafePointer<Float>?, y: UnsafeMutablePointer<Float>, ldy: Int, accumulate: Bool,
        kernel: Kernel = .best
    ) {
        ThreadRoom.with(bytes: cvector_bf16_room(rows, inputs)) { room in
            cvector_bf16_product(
                kernel.code, rows, outputs, inputs, x, ldx, packed, bias, y, ldy, accumulate ? 1 : 0, room)
        }
    }

    /// The nearest bfloat16 number, ties to even; what is smaller than the smallest normal number becomes zero.
    public static func rounded(_ value: Float) -> Float {
        let bits = value.bitPattern
        if value.isNaN { return Float(bitPattern: (bits | 0x0040_0000) & 0xFFFF_0000) }
        if bits & 0x7F80_0000 == 0 { return Float(bitPattern: bits & 0x8000_0000) }
        return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
    }
}
