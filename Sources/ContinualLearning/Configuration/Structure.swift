/// Which memories a run has and how they follow each other (cil-engine 3).
public enum Structure: String, Sendable, CaseIterable {
    /// No adapter: the head alone learns.
    case backbone
    /// One adapter that is trained on over all tasks.
    case single
    /// As `single`; a running average of it is what is used.
    case singleEMA = "single-ema"
    /// Fast memory on slow memory; fast is consolidated into slow after each task.
    case chain
    /// Three time scales.
    case chain3
    /// One fast slot per task beside slow.
    case moe = "moe-v0"
    /// K fast slots compete on each task.
    case parallel
    /// A clone of the global adapter is trained and averaged back.
    case pam
    /// One adapter per task, each from zero.
    case independent
    /// All classes at once.
    case joint

    /// Whether a slow memory exists.
    public var hasSlow: Bool {
        switch self {
        case .singleEMA, .chain, .chain3, .moe, .parallel, .pam: true
        case .backbone, .single, .independent, .joint: false
        }
    }

    /// Whether fast is moved into slow (or mid) at the end of a task.
    public var consolidates: Bool { hasSlow }

    /// Whether the fast slots that are left take part in evaluation by `eval_rule`.
    public var usesEvalRule: Bool { self == .moe || self == .independent }

    /// Whether slow can learn by gradients.
    public var trainsSlow: Bool {
        switch self {
        case .chain, .chain3, .moe, .parallel: true
        default: false
        }
    }
}

/// How the fast slots of `moe-v0` and `independent` contribute in evaluation (cil-engine 4.2).
public enum EvaluationRule: String, Sendable, CaseIterable {
    case sum, mean, last, none, gate
}

/// Who chooses the slot when `eval_rule` is `gate`.
public enum Gate: String, Sendable, CaseIterable {
    /// The slot with the smallest moving average of its training loss.
    case lossEMA = "loss-ema"
    /// softmax(W·f + b) over slots on the backbone's own feature.
    case linear
    case router
}

/// How slow is stored.
public enum SlowStorage: String, Sendable, CaseIterable {
    case factors, grow, dense
}

/// Which classes compete in the loss (cil-engine 11.1).
public enum HeadLossKind: String, Sendable, CaseIterable {
    case local, seen
    case logitAdjusted = "logit-adjusted"
}

/// A head that is evaluated.
public enum HeadKind: String, Sendable, CaseIterable {
    case linear, ncm, ridge, ranpac, lda, align

    /// The statistics that it is made of, nil for the trained head.
    var statistics: StatisticsHeadOptions.Kind? { StatisticsHeadOptions.Kind(rawValue: rawValue) }
}

/// What statistics heads look at.
public enum HeadFeatures: String, Sendable, CaseIterable {
    /// Features of the adapted network.
    case adapted
    /// Those of the bare backbone and of the adapted network, side by side (APER).
    case both
}

/// How far invariants go.
public enum InvariantMode: String, Sendable, CaseIterable {
    case strict, warn, off
}

/// Learning rates of competing experts (cil-engine 6).
public enum ExpertSchedule: Sendable, Hashable {
    case halving
    case decades
    case explicit([Double])

    /// Multiplier of each of K experts.
    public func multipliers(_ count: Int) -> [Double] {
        switch self {
        case .halving: return (0..<count).map { 1 / Double(1 << min($0, 62)) }
        case .decades:
            // 1, 0.5, 0.1, 0.05, 0.01, …
            var result: [Double] = []
            var decade = 1.0
            while result.count < count {
                result.append(1 / decade)
                if result.count < count { result.append(1 / (2 * decade)) }
                decade *= 10
            }
            return result
        case .explicit(let list): return list
        }
    }
}
