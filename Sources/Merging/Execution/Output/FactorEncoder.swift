import Diagnostics
import Tensors

/// Rounds the factors of one module to the output type and pads them to the rank in the file (merge-methods 4.3).
struct FactorEncoder: Sendable {
    let dtype: DType

    /// Largest finite half-precision number.
    static let largestHalf: Float = 65504

    /// Bytes of A* and B* as they stand in the file, and the largest rounding error of an entry.
    struct Encoded {
        var a: [UInt8]
        var b: [UInt8]
        var maxError: Double
    }

    /// - Throws: `merge.nonfinite_result` for NaN, infinities, and half-precision overflow that no shift between A and
    ///   B repairs.
    func encode(_ pair: FactorPair, rank: Int, task: ModuleTask) throws -> Encoded {
        try requireFinite(pair.a, "lora_A", task)
        try requireFinite(pair.b, "lora_B", task)
        let pair = dtype == .f16 ? try withinHalfRange(pair, task) : pair
        var rounding = Rounding()
        let a = try bytes(count: rank * pair.a.columns) { target in
            try pair.a.elements.withUnsafeBufferPointer {
                rounding.merge(try FloatConversion.narrow($0, to: dtype, into: target))
            }
        }
        let b = try bytes(count: pair.b.rows * rank) { target in
            try encodeRows(pair.b, stride: rank, into: target, &rounding)
        }
        guard rounding.overflows == 0 else { throw overflow(task) }
        return Encoded(a: a, b: b, maxError: rounding.maxError)
    }

    /// The bytes of a merged `lora_B.bias`.
    func encode(bias: [Float], task: ModuleTask) throws -> [UInt8] {
        try requireFinite(Matrix(rows: 1, columns: bias.count, elements: bias), "lora_B.bias", task)
        var rounding = Rounding()
        let result = try bytes(count: bias.count) { target in
            try bias.withUnsafeBufferPointer { rounding = try FloatConversion.narrow($0, to: dtype, into: target) }
        }
        guard rounding.overflows == 0 else { throw overflow(task) }
        return result
    }

    /// Rows of B with zeros behind them up to the rank in the file; A's additional rows are zeros already.
    private func encodeRows(
        _ b: Matrix<Float>, stride rank: Int, into target: UnsafeMutableRawBufferPointer, _ rounding: inout Rounding
    ) throws {
        try b.elements.withUnsafeBufferPointer { values in
            guard rank != b.columns else {
                rounding.merge(try FloatConversion.narrow(values, to: dtype, into: target))
                return
            }
            let size = dtype.bits / 8
            for row in 0..<b.rows {
                let source = UnsafeBufferPointer(rebasing: values[row * b.columns..<(row + 1) * b.columns])
                let place = UnsafeMutableRawBufferPointer(rebasing: target[(row * rank * size)...])
                rounding.merge(try FloatConversion.narrow(source, to: dtype, into: place))
            }
        }
    }

    private func bytes(
        count: Int, _ write: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count * (dtype.bits / 8))
        try result.withUnsafeMutableBytes { try write($0) }
        return result
    }

    private func requireFinite(_ matrix: Matrix<Float>, _ factor: String, _ task: ModuleTask) throws {
        guard let index = matrix.elements.withUnsafeBufferPointer({ ValueScan.firstNonFinite($0) }) else { return }
        let kind = matrix.elements[index].isNaN ? "NaN" : "an overflow"
        throw Failure(
            .mergeNonfiniteResult, "the merged \(factor) holds \(kind) at index \(index)", place: task.name,
            details: ["first_index": "\(index)"])
    }

    /// Moves a power of two from the factor that overflows half precision to the other.
    private func withinHalfRange(_ pair: FactorPair, _ task: ModuleTask) throws -> FactorPair {
        let largestA = largest(pair.a)
        let largestB = largest(pair.b)
        let limit = FactorEncoder.largestHalf
        guard largestA > limit || largestB > limit else { return pair }
        let excess = max(largestA, largestB) / limit
        let factor = Float(
            sign: .plus, exponent: Int(excess.exponent) + (excess.significand > 1 ? 1 : 0), significand: 1)
        guard min(largestA, largestB) * factor <= limit else { throw overflow(task) }
        task.context.remarks.add("A and B were rescaled by \(factor) against each other to fit into F16")
        let toA = largestA > limit ? 1 / factor : factor
        return FactorPair(a: pair.a.scaled(by: toA), b: pair.b.scaled(by: 1 / toA))
    }

    private func largest(_ matrix: Matrix<Float>) -> Float {
        matrix.elements.withUnsafeBufferPointer { values in
            var largest: Float = 0
            for i in 0..<values.count { largest = abs(values[i]) > largest ? abs(values[i]) : largest }
            return largest
        }
    }

    private func overflow(_ task: ModuleTask) -> Failure {
        Failure(
            .mergeNonfiniteResult, "the merged factors overflow \(dtype.rawValue)", place: task.name,
            hint: "choose output.dtype bf16 or f32")
    }
}

extension StagePlan {
    /// The output's element type: as asked, or the widest among the operands (bf16 beside f16 gives f32).
    var outputType: DType {
        switch output.precision {
        case .f32: return .f32
        case .f16: return .f16
        case .bf16: return .bf16
        case .keep: break
        }
        var types: Set<DType> = []
        for module in operands.flatMap(\.adapter.modules) { types.formUnion([module.a.dtype, module.b.dtype]) }
        return DType.widest(of: types)
    }
}

extension DType {
    /// The narrowest type that holds all of `types` without loss.
    static func widest(of types: Set<DType>) -> DType {
        if types.contains(.f64) { return .f64 }
        if types == [.f16] { return .f16 }
        if types == [.bf16] { return .bf16 }
        return .f32
    }
}
