import Diagnostics
import LinearAlgebra
import Tensors
import WeightFiles

/// Takes the merged numbers of one tensor in order, rounds them once and writes them in large pieces.
///
/// The bytes lie in the buffer as they will lie in the file, modulo a block of the disk, and but for the first and the
/// last piece only whole blocks are written: they can go to the disk without another copy.
struct TensorSink: ~Copyable {
    private let task: TensorTask
    private let output: CheckpointOutput
    private let index: Int
    private let buffer: UnsafeMutableRawBufferPointer
    /// Where the bytes in the buffer begin and end.
    private var start: Int
    private var filled: Int
    /// Bytes of the tensor that were written.
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
        self.start = output.placeInBlock(tensor: index, at: offset)
        filled = self.start
        buffer = .allocate(byteCount: TensorSink.capacity, alignment: ResumableOutput.block)
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

    /// Bytes as they are.
    mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let count = min(bytes.count - done, buffer.count - filled)
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[done..<done + count]))
            try advance(count)
            done += count
        }
    }

    private mutating func advance(_ bytes: Int) throws {
        filled += bytes
        guard buffer.count - filled < 8 else { return }
        let end = filled / ResumableOutput.block * ResumableOutput.block
        try write(upTo: end)
        let rest = filled - end
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[end..<filled]))
        start = 0
        filled = rest
    }

    /// Writes what is left.
    mutating func flush() throws {
        try write(upTo: filled)
        start = output.placeInBlock(tensor: index, at: offset)
        filled = start
    }

    private mutating func write(upTo end: Int) throws {
        try output.write(UnsafeRawBufferPointer(rebasing: buffer[start..<end]), tensor: index, at: offset)
        offset += end - start
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
