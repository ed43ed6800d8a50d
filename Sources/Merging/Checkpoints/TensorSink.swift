import Diagnostics
import LinearAlgebra
import Tensors

/// Takes the merged numbers of one tensor in order, rounds them once and writes them in large pieces.
struct TensorSink: ~Copyable {
    private let task: TensorTask
    private let output: CheckpointOutput
    private let index: Int
    private let buffer: UnsafeMutableRawBufferPointer
    private var filled = 0
    /// Bytes of the tensor that lie before the buffer.
    private var offset: Int
    private(set) var rounding = Rounding()

    private static let capacity = 1 << 20

    /// - Parameters:
    ///   - index: of the tensor in `output`.
    ///   - start: the first element that will come.
    init(_ task: TensorTask, _ output: CheckpointOutput, index: Int, start: Int = 0) {
        self.task = task
        self.output = output
        self.index = index
        offset = start * (task.dtype.bits / 8)
        buffer = .allocate(byteCount: TensorSink.capacity, alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// - Throws: `merge.non_finite` when an input is to blame for a NaN or an infinity, else
    ///   `merge.nonfinite_result`; `io.*`.
    mutating func append(_ values: UnsafeBufferPointer<Float>) throws {
        guard ValueScan.firstNonFinite(values) == nil else { throw try task.nonFinite() }
        let size = task.dtype.bits / 8
        var done = 0
        while done < values.count {
            let count = min(values.count - done, (buffer.count - filled) / size)
            let part = UnsafeBufferPointer(rebasing: values[done..<done + count])
            rounding.merge(
                try FloatConversion.narrow(
                    part, to: task.dtype, into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])))
            try advance(count * size)
            done += count
        }
        guard rounding.overflows == 0 else { throw task.overflow }
    }

    /// Double precision, for tensors that are stored so.
    mutating func append(_ values: UnsafeBufferPointer<Double>) throws {
        guard Double.firstNonFinite(values) == nil else { throw try task.nonFinite() }
        guard task.dtype == .f64 else {
            let floats = values.map { Float($0) }
            guard floats.allSatisfy(\.isFinite) else { throw task.overflow }
            return try floats.withUnsafeBufferPointer { try append($0) }
        }
        var done = 0
        while done < values.count {
            let count = min(values.count - done, (buffer.count - filled) / 8)
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(
                from: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: values[done..<done + count])))
            try advance(count * 8)
            done += count
        }
    }

    private mutating func advance(_ bytes: Int) throws {
        filled += bytes
        if buffer.count - filled < 8 { try flush() }
    }

    /// Writes what is left.
    mutating func flush() throws {
        try output.write(UnsafeRawBufferPointer(rebasing: buffer[..<filled]), tensor: index, at: offset)
        offset += filled
        filled = 0
    }
}

extension TensorTask {
    /// The error for a result that is not finite.
    func nonFinite() throws -> Failure {
        if let failure = try InputDefects.failure(operands, base: base) { return failure }
        if case .copy(let tensor) = work,
            let failure = try InputDefects.failure(
                [TensorOperand(content: .weights(tensor), name: "the model")])
        {
            return failure
        }
        return Failure(
            .mergeNonfiniteResult, "the merged tensor overflows or is undefined", place: name,
            hint: "look at the weights and scalings")
    }

    var overflow: Failure {
        Failure(
            .mergeNonfiniteResult, "the merged tensor overflows \(dtype.rawValue)", place: name,
            hint: "choose output.dtype bf16 or f32")
    }
}
