import Diagnostics
import LinearAlgebra
import Tensors

/// Makes one tensor of the result by any rule that is not a sum with known coefficients.
struct TensorMerging: Sendable {
    let plan: StagePlan
    let workers: Workers
    let budget: MemoryBudget
    /// Rows per block of class E instead of the usual rule, for tests of block independence.
    var blockHeight: Int?

    /// Memory for the whole stage.
    private var memoryLimit: Int { plan.memoryLimitBytes }

    // MARK: Class G

    /// The coefficients that a rule finds from the inner products of the operands.
    func coefficients(_ task: TensorTask, _ rule: @Sendable (MethodContext, Matrix<Double>) throws -> [Double]) throws
        -> [Double]
    {
        guard let context = task.context else { return [] }
        return try rule(context, try TensorGram(task, zeroNonFinite: plan.zeroNonFinite).matrix(workers))
    }

    // MARK: Class S

    /// Applies a spectral rule to the updates themselves, or to small cores where all are low-rank.
    ///
    /// Dense updates cost the singular value decompositions that the rule asks for, O(mn·min(m, n)) each in double
    /// precision, and (T + 6)·8 bytes per entry.
    func spectral(
        _ task: TensorTask, _ rule: @Sendable (MethodContext, CoreSpace) throws -> Matrix<Double>,
        to output: CheckpointOutput, index: Int
    ) throws -> CheckpointOutput.Summary {
        guard let context = task.context else { throw task.unsupported("this method") }
        if task.isLowRank { return try lowRank(task, context, rule, to: output, index: index) }
        let bytes = (task.operands.count + 6) * 8 * task.count
        guard bytes <= memoryLimit else { throw tooLarge(task, bytes) }
        return try budget.reserving(bytes) {
            let merged = try spectralMatrix(task, context, rule)
            var summary = CheckpointOutput.Summary(frobenius: merged.matrix.frobeniusNorm, maxError: 0)
            summary.discardedEnergy = merged.discarded
            summary.rank = merged.rank
            summary.maxError = try write(merged.matrix, task, to: output, index: index)
            return summary
        }
    }

    /// What a tensor counts for the whole of a `spectralTogether` rule.
    func quantities(
        _ task: TensorTask, _ rule: @Sendable (MethodContext, CoreSpace) throws -> ScaledTogether
    ) throws -> [Double] {
        guard let context = task.context else { return [] }
        if task.isLowRank {
            let factors = try task.operands.compactMap { try $0.lowRank?.baseFactors() }
            return try rule(context, CoreSpace(JointCore(factors, place: task.name))).quantities
        }
        let bytes = (task.operands.count + 6) * 8 * task.count
        guard bytes <= memoryLimit else { throw tooLarge(task, bytes) }
        return try budget.reserving(bytes) {
            try rule(context, CoreSpace(dense: try updates(task))).quantities
        }
    }

    private func spectralMatrix(
        _ task: TensorTask, _ context: MethodContext,
        _ rule: @Sendable (MethodContext, CoreSpace) throws -> Matrix<Double>
    ) throws -> (matrix: Matrix<Double>, rank: Int?, discarded: Double) {
        let space = CoreSpace(dense: try updates(task))
        let merged = try task.finished(try rule(context, space), space)
        guard !merged.elements.contains(where: { !$0.isFinite }) else { throw try task.nonFinite() }
        guard let wanted = rankRule(task) else { return (merged, nil, 0) }
        let svd = try thinSVD(merged, place: task.name)
        let choice = wanted.choose(svd.sigma)
        guard choice.rank > 0 else { return (merged, 0, 0) }
        return (try svd.truncated(to: choice.rank).product(), choice.rank, choice.discardedEnergy)
    }

    /// A rank that the recipe or the method asks for; a checkpoint has no rank of its own.
    private func rankRule(_ task: TensorTask) -> RankRule? {
        guard let rank = plan.output.rank ?? task.output.rank, let context = task.context else { return nil }
        switch rank {
        case .keep, .max, .auto: return nil
        case .fixed(let rank) where rank >= context.smallSide: return nil
        case .fixed, .energy, .tail: return RankRule(rule: rank, largestRank: max(1, context.largestRank))
        }
    }

    /// All updates as matrices in double precision.
    private func updates(_ task: TensorTask) throws -> [Matrix<Double>] {
        let reader = try TensorReader(task, grid: task.grid, zeroNonFinite: plan.zeroNonFinite)
        let grid = task.grid
        let base = try Matrix<Double>(rows: grid.rows, columns: grid.columns) {
            try reader.base(0..<grid.rows, into: $0)
        }
        return try task.operands.indices.map { i in
            let update = try base.elements.withUnsafeBufferPointer { base in
                try Matrix<Double>(rows: grid.rows, columns: grid.columns) { target in
                    guard let base = base.baseAddress else { return }
                    try reader.update(i, 0..<grid.rows, base: base, into: target)
                }
            }
            guard !update.elements.contains(where: { !$0.isFinite }) else { throw try task.nonFinite() }
            return update
        }
    }

    /// base + merged, written out.
    private func write(
        _ merged: Matrix<Double>, _ task: TensorTask, to output: CheckpointOutput, index: Int
    ) throws -> Double {
        let reader = try TensorReader(task, grid: task.grid, zeroNonFinite: plan.zeroNonFinite)
        var sink = TensorSink(task, output, index: index)
        var row = [Double](repeating: 0, count: task.grid.columns)
        for k in 0..<task.grid.rows {
            try row.withUnsafeMutableBufferPointer { try reader.base(k..<k + 1, into: $0) }
            for j in row.indices { row[j] += merged[k, j] }
            if task.dtype == .f64 {
                try row.withUnsafeBufferPointer { try sink.append($0) }
            } else {
                let floats = row.map { Float($0) }
                try floats.withUnsafeBufferPointer { try sink.append($0) }
            }
        }
        try sink.flush()
        return sink.rounding.maxError
    }

    // MARK: Class K

    /// An elementwise rule in the coordinates of KnOTS (merge-methods 3.16): one decomposition of all updates side by
    /// side, O(min(m, Tn)·mTn), and the updates as matrices in memory.
    func aligned(
        _ task: TensorTask, _ frame: CoordinateFrame, _ rule: ElementRule, _ state: ElementState?,
        to output: CheckpointOutput, index: Int
    ) throws -> CheckpointOutput.Summary {
        let bytes = (4 * task.operands.count + 4) * 8 * task.count
        guard bytes <= memoryLimit else { throw tooLarge(task, bytes) }
        return try budget.reserving(bytes) {
            let coordinates = try DenseCoordinates(task, frame, try updates(task))
            let work = ElementWork(rule: rule, rows: coordinates.rows, columns: coordinates.columns) {
                coordinates.source
            }
            let alone = Workers(threads: 1, isCancelled: workers.isCancelled)
            let state =
                try state
                ?? ElementStatistics(
                    works: [work], workers: alone, memoryLimit: memoryLimit
                ).collect()[0]
            let merged = try rule.dense(coordinates.source, state)
            let update = try coordinates.restored(merged.matrix)
            guard !update.elements.contains(where: { !$0.isFinite }) else { throw try task.nonFinite() }
            let finished = try task.finished(update, CoreSpace(dense: task.post.isEmpty ? [update] : try updates(task)))
            var summary = CheckpointOutput.Summary(frobenius: finished.frobeniusNorm, maxError: 0)
            summary.trimmedShare = merged.state.trimmedShare
            summary.maxError = try write(finished, task, to: output, index: index)
            return summary
        }
    }

    /// The tensor's coordinates for statistics that reach over several tensors; decomposed anew for every pass.
    func alignedWork(_ task: TensorTask, _ frame: CoordinateFrame, _ rule: ElementRule) throws -> ElementWork {
        let coordinates = try DenseCoordinates(task, frame, try updates(task))
        return ElementWork(rule: rule, rows: coordinates.rows, columns: coordinates.columns) {
            try DenseCoordinates(task, frame, try updates(task)).source
        }
    }

    private func tooLarge(_ task: TensorTask, _ bytes: Int) -> Failure {
        Failure(
            .ioTooLarge,
            "the decompositions of a \(task.grid.rows)×\(task.grid.columns) tensor need \(bytes >> 20) MiB, the limit is "
                + "\(memoryLimit >> 20) MiB",
            place: task.name, hint: "raise limits.memory")
    }

    // MARK: Low-rank operands only

    private func lowRank(
        _ task: TensorTask, _ context: MethodContext,
        _ rule: @Sendable (MethodContext, CoreSpace) throws -> Matrix<Double>, to output: CheckpointOutput, index: Int
    ) throws -> CheckpointOutput.Summary {
        let factors = try task.operands.compactMap { try $0.lowRank?.baseFactors() }
        let joint = try JointCore(factors, place: task.name)
        let space = CoreSpace(joint)
        let core = try task.finished(try rule(context, space), space)
        guard !core.elements.contains(where: { !$0.isFinite }) else { throw try task.nonFinite() }
        let update: LowRankFactors
        var discarded = 0.0
        var rank: Int?
        if let wanted = rankRule(task) {
            let svd = try thinSVD(core, place: task.name)
            let choice = wanted.choose(svd.sigma)
            let kept = svd.truncated(to: choice.rank)
            update = try joint.lowRank(left: kept.u, right: kept.vt.transposed(), values: kept.sigma)
            (discarded, rank) = (choice.discardedEnergy, choice.rank)
        } else {
            update = LowRankFactors(b: try joint.left(core), a: try joint.right(.identity(core.columns)))
        }
        var summary = try fold(update, task, to: output, index: index)
        summary.discardedEnergy = discarded
        summary.rank = rank
        return summary
    }

    /// A class F rule: new factors from the factors.
    func factors(
        _ task: TensorTask, _ merge: @Sendable (MethodContext, [FactorPair]) throws -> FactorPair,
        to output: CheckpointOutput, index: Int
    ) throws -> CheckpointOutput.Summary {
        guard task.isLowRank, let context = task.context else {
            throw task.unsupported("'\(task.method ?? "this method")'")
        }
        let modules = task.operands.compactMap(\.lowRank)
        let pairs = try modules.map { module in
            let rows = module.b.count / max(1, module.rank)
            return FactorPair(
                a: try module.a.floatMatrix(rows: module.rank, columns: module.a.count / max(1, module.rank)),
                b: try module.b.floatMatrix(rows: rows, columns: module.rank))
        }
        let pair = try merge(context, pairs)
        let update =
            modules[0].isTransposed
            ? LowRankFactors(b: pair.a.transposed(), a: pair.b.transposed()) : LowRankFactors(b: pair.b, a: pair.a)
        return try fold(update, task, to: output, index: index)
    }

    /// base + update, where the update is known by its factors.
    private func fold(
        _ update: LowRankFactors, _ task: TensorTask, to output: CheckpointOutput, index: Int
    ) throws -> CheckpointOutput.Summary {
        let reader = try TensorReader(task, grid: task.grid, zeroNonFinite: plan.zeroNonFinite)
        var sink = TensorSink(task, output, index: index)
        let packed = PackedFactors(update)
        let columns = task.grid.columns
        let height = LowRankFactors.denseTile
        var squares = 0.0
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, 2 * height * columns)) { scratch in
            for start in stride(from: 0, to: task.grid.rows, by: height) {
                let rows = start..<min(start + height, task.grid.rows)
                let count = rows.count * columns
                let base = UnsafeMutableBufferPointer(rebasing: scratch[..<count])
                let delta = UnsafeMutableBufferPointer(rebasing: scratch[count..<2 * count])
                try reader.base(rows, into: base)
                packed.product(rows: rows, into: delta)
                squares += ValueScan.sumOfSquares(UnsafeBufferPointer(delta))
                for e in 0..<count { base[e] += delta[e] }
                try sink.append(UnsafeBufferPointer(base))
            }
        }
        try sink.flush()
        return CheckpointOutput.Summary(frobenius: squares.squareRoot(), maxError: sink.rounding.maxError)
    }
}

extension TensorTask {
    /// The merged core after the steps that follow the method.
    func finished(_ core: Matrix<Double>, _ space: CoreSpace) throws -> Matrix<Double> {
        let core = try post.reduce(core) { try $1.apply(space, $0) }
        return scale == 1 ? core : core.scaled(by: scale)
    }

    func unsupported(_ what: String) -> Failure {
        Failure(
            .mergeUnsupportedKind, "\(what) works on the factors of adapters, and full weights have none", place: name,
            hint: "`lorabank recipe methods` shows the class of each method: G, S, K and E take full weights")
    }
}

/// Inner products of all operands of a tensor, in one pass.
struct TensorGram {
    let task: TensorTask
    let zeroNonFinite: Bool
    private static let piece = 4096

    init(_ task: TensorTask, zeroNonFinite: Bool) {
        self.task = task
        self.zeroNonFinite = zeroNonFinite
    }

    /// ⟨X_i, X_j⟩, T×T, in double precision; pieces of fixed length are added in order.
    func matrix(_ workers: Workers) throws -> Matrix<Double> {
        if task.isLowRank {
            return try FactorGram(task.operands.compactMap { try $0.lowRank?.baseFactors() }, place: task.name).inner
        }
        let count = task.operands.count
        var gram = Matrix<Double>(rows: count, columns: count)
        let grid = task.needsRows ? task.grid : TensorGrid(rows: task.count, columns: 1)
        let height = task.needsRows ? LowRankFactors.denseTile : TensorGram.piece
        let reader = try TensorReader(task, grid: grid, zeroNonFinite: zeroNonFinite)
        let capacity = max(1, min(height, grid.rows) * grid.columns)
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: capacity * (count + 1)) { scratch in
            guard let updates = scratch.baseAddress else { return }
            let base = updates + capacity * count
            for start in stride(from: 0, to: grid.rows, by: height) {
                if workers.isCancelled() { throw CancellationError() }
                let rows = start..<min(start + height, grid.rows)
                let length = rows.count * grid.columns
                try reader.base(rows, into: UnsafeMutableBufferPointer(start: base, count: length))
                for i in 0..<count {
                    try reader.update(
                        i, rows, base: base,
                        into: UnsafeMutableBufferPointer(start: updates + i * capacity, count: length))
                }
                try add(updates, stride: capacity, length: length, to: &gram)
            }
        }
        for i in 0..<count {
            for j in 0..<i { gram[i, j] = gram[j, i] }
        }
        guard gram.elements.allSatisfy(\.isFinite) else { throw try task.nonFinite() }
        return gram
    }

    private func add(
        _ updates: UnsafePointer<Double>, stride capacity: Int, length: Int, to gram: inout Matrix<Double>
    ) throws {
        let n = try blasDimension(gram.rows)
        let lda = try blasDimension(capacity)
        gram.elements.withUnsafeMutableBufferPointer { gram in
            guard let c = gram.baseAddress else { return }
            for start in stride(from: 0, to: length, by: TensorGram.piece) {
                let k = Int32(min(TensorGram.piece, length - start))
                Double.syrk(transpose: false, n: n, k: k, alpha: 1, a: updates + start, lda: lda, beta: 1, c: c, ldc: n)
            }
        }
    }
}
