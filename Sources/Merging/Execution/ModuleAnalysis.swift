import Diagnostics
import LinearAlgebra
import Tensors

/// The first half of a merge: decides for every module what its factors will be, and how many. Keeps coefficients of
/// R×q numbers for the classes G and S, spooled factors for class E, nothing for class F.
struct ModuleAnalysis: Sendable {
    let plan: StagePlan
    /// Element type of the output.
    let dtype: DType
    let spool: Spool
    let budget: MemoryBudget
    let workers: Workers
    /// Rows per block of class E instead of the rule of merge-methods 2.1.
    var blockHeight: Int?

    /// Rounding of Q·M in single precision that still counts as small against 16-bit numbers.
    static let singlePrecisionGrowth = 1e3

    /// - Parameter prepared: what was found out about the module together with others.
    func analyse(_ task: ModuleTask, _ prepared: Preparation) throws -> MergedModule {
        let stack = FactorStack(task, zeroNonFinite: plan.zeroNonFinite)
        defer { stack.releasePages() }
        var merged: MergedModule
        switch task.rule {
        case .combination(let rule):
            merged = try combine(task, stack, try rule(task.context))
        case .gram(let rule):
            let factors = try stack.lowRankFactors()
            merged = try computing(task) {
                let gram = try FactorGram(factors, place: task.name)
                return try combine(task, try rule(task.context, gram.inner), gram)
            }
        case .spectral(let rule):
            let factors = try stack.lowRankFactors()
            merged = try computing(task) {
                let joint = try JointCore(factors, place: task.name)
                return try project(try rule(task.context, CoreSpace(joint)), joint, task)
            }
        case .spectralTogether(let rule, _):
            let factors = try stack.lowRankFactors()
            merged = try computing(task) {
                let joint = try JointCore(factors, place: task.name)
                let result = try rule(task.context, CoreSpace(joint))
                var merged = try project(MergedCore(result.core), joint, task)
                merged.quantities = result.quantities
                return merged
            }
        case .slices(let axis, let rule):
            merged = try mergeSlices(task, try stack.lowRankFactors(), axis, rule)
        case .coordinates(let frame, let rule):
            merged = try mergeAligned(task, stack, frame, try rule(task.context), prepared)
        case .elements(let rule):
            merged = try mergeElements(task, stack, try rule(task.context), prepared.state)
        case .factors(let rank, _):
            let rank = try rank(task.context)
            merged = MergedModule(source: .factorwise, rank: rank, paddedRank: rank)
        }
        merged.clampQuantile = task.output.clampQuantile
        // Clamping changes the update: its norm is taken when it is written.
        if merged.clampQuantile != nil { merged.frobenius = nil }
        merged.split = plan.output.split ?? task.output.split ?? .sqrt
        merged.paddedRank = max(merged.rank, task.output.paddedRank ?? 0)
        return merged
    }

    func rankRule(_ task: ModuleTask) -> RankRule {
        let rule = plan.output.rank ?? task.output.rank ?? task.method.description.defaultRank
        return RankRule(rule: rule, largestRank: max(1, task.context.largestRank))
    }

    // MARK: Class G

    /// Σ c_i Δ_i with coefficients that need no inner products: nothing is read where everything is kept.
    private func combine(
        _ task: ModuleTask, _ stack: FactorStack, _ coefficients: [Double]
    ) throws -> MergedModule {
        if concatenates(task) { return concatenation(task, coefficients, nil) }
        let factors = try stack.lowRankFactors()
        return try computing(task) {
            try projection(task, coefficients, try FactorGram(factors, place: task.name))
        }
    }

    /// Σ c_i Δ_i: plain concatenation where everything is kept, else through the joint core.
    private func combine(
        _ task: ModuleTask, _ coefficients: [Double], _ gram: FactorGram
    ) throws -> MergedModule {
        concatenates(task)
            ? concatenation(task, coefficients, gram) : try projection(task, coefficients, gram)
    }

    func concatenates(_ task: ModuleTask) -> Bool {
        rankRule(task).rule == .keep && task.output.clampQuantile == nil && task.post.isEmpty
            && (task.totalRank <= task.context.smallSide || task.output.allowsOvercomplete)
    }

    private func projection(
        _ task: ModuleTask, _ coefficients: [Double], _ gram: FactorGram
    ) throws -> MergedModule {
        let joint = try JointCore(gram, place: task.name)
        var merged = try project(MergedCore(try joint.sum(weights: coefficients)), joint, task)
        merged.biasCoefficients = coefficients
        return merged
    }

    private func concatenation(
        _ task: ModuleTask, _ coefficients: [Double], _ gram: FactorGram?
    ) -> MergedModule {
        guard task.totalRank > 0 else { return zero(task) }
        let split = plan.output.split ?? task.output.split ?? .a
        let scalings = zip(coefficients, task.operands).map { coefficient, operand -> MergedModule.OperandScaling in
            let shares = split.shares(signed: coefficient * operand.scale)
            return MergedModule.OperandScaling(a: shares.a, b: shares.b)
        }
        var merged = MergedModule(
            source: .concatenation(scalings), rank: task.totalRank, paddedRank: task.totalRank)
        merged.biasCoefficients = coefficients
        if let inner = gram?.inner {
            merged.frobenius = inner.norm(ofCombination: coefficients)
            merged.cosines = inner.cosines()
            merged.operandEnergies = (0..<inner.rows).map { inner[$0, $0] }
        }
        return merged
    }

    func zero(_ task: ModuleTask) -> MergedModule {
        task.context.remarks.add("the merged update is zero")
        var merged = MergedModule(source: .zero, rank: 1, paddedRank: 1)
        merged.frobenius = 0
        return merged
    }

    // MARK: Class S

    /// Q_B M Q_Aᵀ as two products of the stored factors with small matrices.
    ///
    /// - Parameters:
    ///   - first: updates of the joint core before the operands.
    ///   - isStored: the joint core is not made of the stored factors, so the result is kept itself.
    func project(
        _ core: MergedCore, _ joint: JointCore, _ task: ModuleTask, operandsFrom first: Int = 0,
        isStored: Bool = false
    ) throws -> MergedModule {
        let space = CoreSpace(joint, skipping: first)
        let final =
            task.post.isEmpty ? core : MergedCore(try task.post.reduce(core.matrix()) { try $1.apply(space, $0) })
        let svd = try final.svd(place: task.name)
        let choice = rankRule(task).choose(svd.sigma)
        guard choice.rank > 0 else { return zero(task) }
        remark(choice, task)
        let kept = svd.truncated(to: choice.rank)
        let split = plan.output.split ?? task.output.split ?? .sqrt
        let shares = kept.sigma.map { split.shares($0) }
        let left = try joint.leftProduct(kept.u.scalingColumns(by: shares.map(\.b)))
        let right = try joint.rightProduct(kept.vt.transposed().scalingColumns(by: shares.map(\.a)))
        var merged = MergedModule(
            source: try store(left, right, joint, shares, isStored), rank: choice.rank, paddedRank: choice.rank)
        merged.hasFreeSigns = true
        merged.discardedEnergy = choice.discardedEnergy
        merged.frobenius = kept.sigma.reduce(0) { $0 + $1 * $1 }.squareRoot()
        if first == 0 {
            let inner = joint.gram.inner
            merged.cosines = inner.cosines()
            merged.operandEnergies = (0..<inner.rows).map { inner[$0, $0] }
        }
        return merged
    }

    /// Coefficients where the bases have them; where they do not (nearly dependent factors), the factors themselves.
    private func store(
        _ left: TallProduct, _ right: TallProduct, _ joint: JointCore, _ shares: [(b: Double, a: Double)],
        _ isStored: Bool
    ) throws -> MergedModule.Source {
        guard !isStored, let x = left.coefficients, let y = right.coefficients else {
            return .stored(try spool.store(try right.matrix().elements, try left.matrix().elements))
        }
        let growth = max(
            ModuleAnalysis.growth(x, joint.gram.left, shares.map(\.b)),
            ModuleAnalysis.growth(y, joint.gram.right, shares.map(\.a)))
        let precise = dtype.bits > 16 || !(growth < ModuleAnalysis.singlePrecisionGrowth)
        return .projection(try spool.store(x.elements, y.transposed().elements), precise: precise)
    }

    /// How much larger the terms of the sums S·X are than the sums: the factor by which rounding grows.
    private static func growth(_ x: Matrix<Double>, _ gram: Matrix<Double>, _ norms: [Double]) -> Double {
        let lengths = (0..<x.rows).map { max(gram[$0, $0], 0).squareRoot() }
        var largest = 0.0
        for (j, norm) in norms.enumerated() where norm > 0 {
            var sum = 0.0
            for i in 0..<x.rows { sum += abs(x[i, j]) * lengths[i] }
            largest = max(largest, sum / norm)
        }
        return largest
    }

    private func remark(_ choice: RankRule.Choice, _ task: ModuleTask) {
        guard choice.cutsCluster else { return }
        task.context.remarks.add(
            "rank \(choice.rank) cuts through equal singular values: the result is one of several equally good ones")
    }

    /// The operands were finite when they were read: whatever is not finite later is the result's fault.
    func computing<Result>(_ task: ModuleTask, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let failure as Failure where failure.code == .mergeNonFinite {
            throw task.nonFiniteResult
        }
    }

    // MARK: Class E

    func elementWork(_ task: ModuleTask, _ rule: ElementRule) -> ElementWork {
        let stack = FactorStack(task, zeroNonFinite: plan.zeroNonFinite)
        let height =
            blockHeight
            ?? ElementSource.blockHeight(
                rows: task.rows, columns: task.columns, operands: task.operands.count,
                memoryLimit: plan.memoryLimitBytes / max(1, plan.threads))
        return ElementWork(rule: rule, rows: task.rows, columns: task.columns) {
            let source = try ElementSource(stack, blockHeight: height)
            guard !source.mayOverflow else { throw task.nonFiniteResult }
            return source
        }
    }

    private func mergeElements(
        _ task: ModuleTask, _ stack: FactorStack, _ rule: ElementRule, _ state: ElementState?
    ) throws -> MergedModule {
        let work = elementWork(task, rule)
        let source = try work.load()
        let loaded = ElementWork(rule: rule, rows: task.rows, columns: task.columns) { source }
        let alone = Workers(threads: 1, isCancelled: workers.isCancelled)
        let state =
            try state
            ?? ElementStatistics(
                works: [loaded], workers: alone, memoryLimit: plan.memoryLimitBytes / max(1, plan.threads)
            ).collect()[0]
        let recompressor = Recompressor(
            rule: rankRule(task), split: plan.output.split ?? task.output.split, memoryLimit: plan.memoryLimitBytes,
            seed: plan.seed ?? 0, module: task.name)
        let (result, final) = try compress(task, rule, source, state, recompressor)
        var merged = try stored(result, task)
        merged.trimmedShare = final.trimmedShare
        return merged
    }

    private func stored(_ result: Recompressor.Result, _ task: ModuleTask) throws -> MergedModule {
        let rank = result.choice.rank
        guard rank > 0 else { return zero(task) }
        remark(result.choice, task)
        var merged = MergedModule(
            source: .stored(try spool.store(result.a.elements, result.b.elements)), rank: rank, paddedRank: rank)
        merged.discardedEnergy = result.choice.discardedEnergy
        merged.frobenius = result.frobenius
        return merged
    }

    private func compress(
        _ task: ModuleTask, _ rule: ElementRule, _ source: ElementSource, _ state: ElementState,
        _ recompressor: Recompressor
    ) throws -> (Recompressor.Result, ElementState) {
        let needsMatrix = recompressor.rule.rule == .keep
        if needsMatrix || Recompressor.fits(rows: task.rows, columns: task.columns, memoryLimit: plan.memoryLimitBytes)
        {
            return try budget.reserving(Recompressor.bytes(rows: task.rows, columns: task.columns)) {
                let (matrix, final) = try rule.dense(source, state)
                guard ValueScan.sumOfSquares(of: matrix).isFinite else { throw task.nonFiniteResult }
                return (try computing(task) { try recompressor.compress(matrix) }, final)
            }
        }
        var total = 0.0
        let final = try rule.forEachMergedBlock(source, state) { _, values in
            if workers.isCancelled() { throw CancellationError() }
            total += ValueScan.sumOfSquares(UnsafeBufferPointer(values))
        }
        guard total.isFinite else { throw task.nonFiniteResult }
        let op = ElementOperator(rule: rule, source: source, state: state)
        return (try recompressor.compress(streamed: op, total: total), final)
    }
}

extension ModuleTask {
    var nonFiniteResult: Failure {
        Failure(
            .mergeNonfiniteResult, "the merged update overflows or is undefined", place: name,
            hint: "look at the weights and scalings of this module")
    }
}
