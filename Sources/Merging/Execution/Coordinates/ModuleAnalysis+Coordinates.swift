import LinearAlgebra
import Tensors

/// What was found out about a module together with others, before its own analysis.
struct Preparation: Sendable {
    /// Statistics that reach over several modules.
    var state: ElementState?
    var alignment: Alignment?
}

/// Class K: an elementwise rule in shared coordinates.
extension ModuleAnalysis {
    /// Moves the operands of a module into shared coordinates.
    func align(_ task: ModuleTask, _ frame: CoordinateFrame) throws -> Alignment {
        let stack = FactorStack(task, zeroNonFinite: plan.zeroNonFinite)
        defer { stack.releasePages() }
        let factors = try stack.lowRankFactors()
        let tolerance = try AlignmentTolerance(task.context)
        return try computing(task) {
            switch frame {
            case .output:
                try .output(
                    JointCore(factors, place: task.name), tolerance, spool, task.context.remarks, columns: task.columns)
            case .input:
                try .input(
                    JointCore(factors, place: task.name), tolerance, spool, task.context.remarks, rows: task.rows)
            case .core: try .core(JointCore(factors, basis: .singular, place: task.name))
            }
        }
    }

    func alignedWork(_ task: ModuleTask, _ rule: ElementRule, _ alignment: Alignment) -> ElementWork {
        let stack = FactorStack(task, zeroNonFinite: plan.zeroNonFinite)
        let height =
            blockHeight
            ?? ElementSource.blockHeight(
                rows: alignment.rows, columns: alignment.columns, operands: task.operands.count,
                memoryLimit: plan.memoryLimitBytes / max(1, plan.threads))
        return ElementWork(rule: rule, rows: alignment.rows, columns: alignment.columns) {
            try alignment.source(stack, blockHeight: max(1, height))
        }
    }

    func mergeAligned(
        _ task: ModuleTask, _ stack: FactorStack, _ frame: CoordinateFrame, _ rule: ElementRule,
        _ prepared: Preparation
    ) throws -> MergedModule {
        if frame == .core { return try mergeCore(task, stack, rule, prepared) }
        let alignment = try prepared.alignment ?? align(task, frame)
        guard alignment.rows > 0, alignment.columns > 0 else { return zero(task) }
        let work = alignedWork(task, rule, alignment)
        let state = try prepared.state ?? statistics(work)
        guard rankRule(task).rule == .keep, task.post.isEmpty, task.output.clampQuantile == nil else {
            return try compressAligned(task, stack, alignment, work, state)
        }
        let rank = frame == .input ? alignment.columns : alignment.rows
        var merged = MergedModule(
            source: .deferred {
                let result = try rule.dense(try work.load(), state)
                guard ValueScan.sumOfSquares(of: result.matrix).isFinite else { throw task.nonFiniteResult }
                return try alignment.factors(result.matrix, stack, spool)
            }, rank: rank, paddedRank: rank)
        merged.hasFreeSigns = true
        return merged
    }

    /// The joint core serves the way into the coordinates and back.
    private func mergeCore(
        _ task: ModuleTask, _ stack: FactorStack, _ rule: ElementRule, _ prepared: Preparation
    ) throws -> MergedModule {
        let factors = try stack.lowRankFactors()
        return try computing(task) {
            let joint = try JointCore(factors, basis: .singular, place: task.name)
            let alignment = try prepared.alignment ?? .core(joint)
            guard alignment.rows > 0, alignment.columns > 0 else { return zero(task) }
            let work = alignedWork(task, rule, alignment)
            let result = try rule.dense(try work.load(), try prepared.state ?? statistics(work))
            var merged = try project(MergedCore(result.matrix.inDouble), joint, task)
            merged.trimmedShare = result.state.trimmedShare
            return merged
        }
    }

    private func statistics(_ work: ElementWork) throws -> ElementState {
        let alone = Workers(threads: 1, isCancelled: workers.isCancelled)
        return try ElementStatistics(
            works: [work], workers: alone, memoryLimit: plan.memoryLimitBytes / max(1, plan.threads)
        ).collect()[0]
    }

    /// A smaller rank or a post-step: the joint core of the result, and of the operands where a step looks at them.
    private func compressAligned(
        _ task: ModuleTask, _ stack: FactorStack, _ alignment: Alignment, _ work: ElementWork, _ state: ElementState
    ) throws -> MergedModule {
        let result = try work.rule.dense(try work.load(), state)
        let pair = try alignment.factors(result.matrix, stack, spool)
        let operands = task.post.isEmpty ? [] : try stack.lowRankFactors()
        var merged = try computing(task) {
            let joint = try JointCore([LowRankFactors(b: pair.b, a: pair.a)] + operands, place: task.name)
            return try project(
                MergedCore(joint.core(0)), joint, task, operandsFrom: 1, isStored: true)
        }
        merged.trimmedShare = result.state.trimmedShare
        return merged
    }
}

extension AlignmentTolerance {
    /// `tol.align` of the method, relative; with `compat: reference` the authors' absolute 1e-5.
    init(_ context: MethodContext) throws {
        let isReference = context.compatibility == .reference
        self.init(
            relative: isReference ? 0 : context.value("tol.align")?.number ?? 1e-7, absolute: isReference ? 1e-5 : 0)
    }
}

extension ElementState {
    /// Share of the operand entries seen in a pass that a selection set to zero.
    var trimmedShare: Double? { examined > 0 ? Double(trimmed) / Double(examined) : nil }
}
