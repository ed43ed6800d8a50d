import Adapters
import Diagnostics
import LinearAlgebra
import Synchronization
import Tensors
import WeightFiles

/// Makes an adapter of a tuned checkpoint: the difference to its base, matrix by matrix in low rank.
///
/// Matrices up to 2048 on their smaller side are decomposed exactly, larger ones by a randomised SVD; the record tells
/// how much energy every module lost. Changed tensors that are no matrices become `modules_to_save` and biases.
public struct Extraction: Sendable {
    public struct Options: Sendable {
        /// `fixed`, `energy`, `tail`, or `keep` for all of it.
        public var rank = OutputRank.fixed(16)
        /// `keep`: the widest type of the tuned weights.
        public var precision = OutputPlan.Precision.keep
        public var memoryLimitBytes = 1 << 30
        public var threads = 1
        /// Of the randomised decompositions.
        public var seed: UInt64 = 0
        /// What the adapter's configuration says about its base.
        public var baseName = ""

        public init() {}
    }

    let base: Checkpoint
    let tuned: Checkpoint
    let options: Options
    let workers: Workers

    /// Writes the adapter.
    ///
    /// - Throws: `merge.shape_mismatch`, `merge.non_finite`, `merge.nonfinite_result`, `adapter.empty` when nothing
    ///   changed, `numeric.*`, `io.too_large` when the memory limit forbids what the rank asks for, `output.exists`, `io.*`.
    public static func run(
        base: Checkpoint, tuned: Checkpoint, options: Options, to destination: MergeDestination,
        overwrite: Bool = false,
        progress: any Diagnostics.ProgressReporting = SilentProgress(),
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> MergeRecord {
        let workers = Workers(threads: max(1, options.threads), isCancelled: isCancelled)
        return try Extraction(base: base, tuned: tuned, options: options, workers: workers)
            .carryOut(destination, overwrite, progress)
    }

    private func carryOut(
        _ destination: MergeDestination, _ overwrite: Bool, _ progress: any Diagnostics.ProgressReporting
    ) throws -> MergeRecord {
        let clock = ContinuousClock()
        let start = clock.now
        BLASThreads.use(1)
        let writer = try AdapterWriting(destination, overwrite: overwrite)
        let changes = try TunedChanges(base, tuned, workers)
        guard !changes.matrices.isEmpty || !changes.saved.isEmpty else {
            throw Failure(
                .adapterEmpty, "the tuned weights are those of the base: nothing to extract", path: tuned.path)
        }
        let spool = Spool(folder: writer.scratchFolder, memoryLimit: options.memoryLimitBytes / 8)
        progress.begin("extracting", total: Int64(changes.matrices.count), unit: "modules")
        defer { progress.end() }
        let found = try decompose(changes.matrices, spool, progress)
        let dtype = dtype(changes)
        let sink = try writer.open(
            layout(changes, found, dtype), base: BaseIdentity(name: options.baseName), source: nil)
        for (index, saved) in changes.saved.enumerated() { try sink.write(saved.tensor.bytes, as: .saved(index)) }
        let errors = try write(changes.matrices, found, dtype, spool, sink)
        if workers.isCancelled() { throw CancellationError() }
        let bytes = try sink.commit()
        let elapsed = (clock.now - start).components
        return MergeRecord(
            modules: records(changes.matrices, found, errors), savedTensors: changes.saved.map(\.name), dtype: dtype,
            weightsPath: writer.weightsPath, bytes: bytes, replacedEntries: 0, warnings: changes.warnings,
            seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    // MARK: Decomposing

    private struct Found: Sendable {
        var factors: Spool.Handle
        var rank: Int
        var discardedEnergy: Double
        var frobenius: Double
        var isRandomised: Bool
    }

    private func decompose(
        _ matrices: [TunedMatrix], _ spool: Spool, _ progress: any Diagnostics.ProgressReporting
    ) throws -> [Found] {
        let budget = MemoryBudget(limit: options.memoryLimitBytes)
        let results = OrderedResults<Found>(count: matrices.count)
        try workers.run(matrices.count) { index in
            let matrix = matrices[index]
            let result = try compress(matrix, budget)
            guard result.choice.rank > 0 else { throw matrix.nothing }
            results.set(
                Found(
                    factors: try spool.store(result.a.elements, result.b.elements), rank: result.choice.rank,
                    discardedEnergy: result.choice.discardedEnergy, frobenius: result.frobenius,
                    isRandomised: result.isRandomised), at: index)
            matrix.releasePages()
            progress.advance(by: 1)
        }
        return results.all
    }

    private func compress(_ matrix: TunedMatrix, _ budget: MemoryBudget) throws -> Recompressor.Result {
        let limit = options.memoryLimitBytes
        let recompressor = Recompressor(
            rule: RankRule(rule: options.rank, largestRank: 16), split: .sqrt, memoryLimit: limit, seed: options.seed,
            module: matrix.module)
        guard Recompressor.fits(rows: matrix.rows, columns: matrix.columns, memoryLimit: limit) else {
            return try recompressor.compress(streamed: matrix, total: try matrix.sumOfSquares())
        }
        return try budget.reserving(Recompressor.bytes(rows: matrix.rows, columns: matrix.columns)) {
            try recompressor.compress(try matrix.difference())
        }
    }

    // MARK: Writing

    private func dtype(_ changes: TunedChanges) -> DType {
        switch options.precision {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        case .keep: DType.widest(of: Set(changes.matrices.map(\.tuned.dtype)))
        }
    }

    private func layout(_ changes: TunedChanges, _ found: [Found], _ dtype: DType) -> PEFTLayout {
        PEFTLayout(
            modules: zip(changes.matrices, found).map { matrix, found in
                PEFTModule(
                    name: matrix.module, kind: matrix.kind, rank: found.rank, deltaShape: matrix.tuned.shape,
                    dtype: dtype)
            },
            saved: changes.saved.map {
                PEFTSavedTensor(name: $0.name, role: $0.role, dtype: $0.tensor.dtype, shape: $0.tensor.shape)
            })
    }

    private func write(
        _ matrices: [TunedMatrix], _ found: [Found], _ dtype: DType, _ spool: Spool, _ sink: AdapterWriting.Sink
    ) throws -> [Double] {
        let errors = OrderedResults<Double>(count: matrices.count)
        try workers.run(matrices.count) { index in
            let (matrix, found) = (matrices[index], found[index])
            let rank = found.rank
            var a = Matrix<Float>(
                rows: rank, columns: matrix.columns,
                elements: try spool.readArray(found.factors, at: 0, count: rank * matrix.columns, of: Float.self))
            var b = Matrix<Float>(
                rows: matrix.rows, columns: rank,
                elements: try spool.readArray(
                    found.factors, at: 4 * rank * matrix.columns, count: matrix.rows * rank, of: Float.self))
            if matrix.kind == .embedding { (a, b) = (b.transposed(), a.transposed()) }
            let first = try encoded(a, dtype, matrix)
            let second = try encoded(b, dtype, matrix)
            try first.bytes.withUnsafeBytes { try sink.write($0, as: .a(module: index)) }
            try second.bytes.withUnsafeBytes { try sink.write($0, as: .b(module: index)) }
            errors.set(max(first.error, second.error), at: index)
        }
        return errors.all
    }

    private func encoded(
        _ factor: Matrix<Float>, _ dtype: DType, _ matrix: TunedMatrix
    ) throws -> (bytes: [UInt8], error: Double) {
        var bytes = [UInt8](repeating: 0, count: factor.elements.count * dtype.bits / 8)
        let rounding = try bytes.withUnsafeMutableBytes { target in
            try factor.elements.withUnsafeBufferPointer { try FloatConversion.narrow($0, to: dtype, into: target) }
        }
        guard rounding.overflows == 0 else {
            throw Failure(
                .mergeNonfiniteResult, "the factors overflow \(dtype.rawValue)", place: matrix.module,
                hint: "choose --dtype bf16 or f32")
        }
        return (bytes, rounding.maxError)
    }

    private func records(
        _ matrices: [TunedMatrix], _ found: [Found], _ errors: [Double]
    ) -> [MergeRecord.Module] {
        matrices.indices.map { index in
            MergeRecord.Module(
                name: matrices[index].module, method: found[index].isRandomised ? "randomised_svd" : "svd",
                rankIn: min(matrices[index].rows, matrices[index].columns), rankOut: found[index].rank,
                discardedEnergy: found[index].discardedEnergy, frobenius: found[index].frobenius, coverage: 1,
                trimmedShare: nil, maxRoundingError: errors[index], cosines: nil, warnings: [])
        }
    }
}
