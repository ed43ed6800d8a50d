import Adapters
import Diagnostics
import LinearAlgebra
import Synchronization
import Tensors
import WeightFiles

/// Makes an adapter of a tuned checkpoint: the difference to its base, matrix by matrix in low rank.
///
/// Matrices up to 2048 on their smaller side are decomposed exactly, larger ones by a randomised SVD; the record tells
/// how much energy every module lost. Changed tensors that are no matrices become `modules_to_save` and biases. A run that
/// is interrupted leaves the factors it has found; the same run later goes on there and gives the same bytes.
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
        let log = try ExtractionLog(
            beside: destination.path, digest: CheckpointFingerprint(base: base, tuned: tuned, options: options).digest,
            sizes: changes.matrices.map { $0.rows + $0.columns })
        progress.begin("extracting", total: Int64(changes.matrices.count), unit: "modules")
        defer { progress.end() }
        let written: (found: [ExtractionLog.Found], errors: [Double], bytes: Int)
        do {
            written = try write(changes, log, writer, progress)
        } catch let cancellation as CancellationError {
            throw cancellation
        } catch {
            log.remove()
            throw error
        }
        log.remove()
        let elapsed = (clock.now - start).components
        var warnings = changes.warnings
        if !log.finished.isEmpty {
            warnings.append(
                "\(log.finished.count) of \(changes.matrices.count) modules were there from an interrupted run")
        }
        return MergeRecord(
            modules: records(changes.matrices, written.found, written.errors), savedTensors: changes.saved.map(\.name),
            dtype: dtype(changes), weightsPath: writer.weightsPath, bytes: written.bytes, replacedEntries: 0,
            warnings: warnings, seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    private func write(
        _ changes: TunedChanges, _ log: ExtractionLog, _ writer: AdapterWriting,
        _ progress: any Diagnostics.ProgressReporting
    ) throws -> (found: [ExtractionLog.Found], errors: [Double], bytes: Int) {
        let found = try decompose(changes.matrices, log, progress)
        let dtype = dtype(changes)
        let sink = try writer.open(
            layout(changes, found, dtype), base: BaseIdentity(name: options.baseName), source: nil)
        for (index, saved) in changes.saved.enumerated() { try sink.write(saved.tensor.bytes, as: .saved(index)) }
        let errors = try write(changes.matrices, found, dtype, log, sink)
        if workers.isCancelled() { throw CancellationError() }
        return (found, errors, try sink.commit())
    }

    // MARK: Decomposing

    private func decompose(
        _ matrices: [TunedMatrix], _ log: ExtractionLog, _ progress: any Diagnostics.ProgressReporting
    ) throws -> [ExtractionLog.Found] {
        let budget = MemoryBudget(limit: options.memoryLimitBytes)
        let results = OrderedResults<ExtractionLog.Found>(count: matrices.count)
        try workers.run(matrices.count) { index in
            let matrix = matrices[index]
            defer { progress.advance(by: 1) }
            if let known = log.finished[index] { return results.set(known, at: index) }
            let result = try compress(matrix, budget)
            guard result.choice.rank > 0 else { throw matrix.nothing }
            results.set(try log.store(index, result), at: index)
            matrix.releasePages()
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

    private func layout(_ changes: TunedChanges, _ found: [ExtractionLog.Found], _ dtype: DType) -> PEFTLayout {
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
        _ matrices: [TunedMatrix], _ found: [ExtractionLog.Found], _ dtype: DType, _ log: ExtractionLog,
        _ sink: AdapterWriting.Sink
    ) throws -> [Double] {
        let errors = OrderedResults<Double>(count: matrices.count)
        try workers.run(matrices.count) { index in
            let matrix = matrices[index]
            var (a, b) = try log.factors(found[index], rows: matrix.rows, columns: matrix.columns)
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
        _ matrices: [TunedMatrix], _ found: [ExtractionLog.Found], _ errors: [Double]
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
