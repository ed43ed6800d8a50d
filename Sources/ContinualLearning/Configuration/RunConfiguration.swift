import Networks
import Settings
import Training

/// Everything that decides a class-incremental run, with every default filled in (CIL engine, section 18).
public struct RunConfiguration: Sendable {
    /// Which slots exist and how they are trained (section 3).
    public enum Structure: String, Sendable, CaseIterable {
        case backbone, single
        case singleEMA = "single-ema"
        case chain, chain3
        case moe = "moe-v0"
        case parallel, pam, independent, joint

        /// Structures that keep a slow slot which consolidation writes.
        public var hasSlow: Bool {
            switch self {
            case .backbone, .single, .independent, .joint: false
            default: true
            }
        }
    }

    public enum SlowStorage: String, Sendable, CaseIterable {
        /// A fixed rank; what does not fit is cut off and reported.
        case factors
        /// The rank grows by what is consolidated, up to the full rank.
        case grow
        /// Full rank from the start: exact.
        case dense
    }

    public struct Slow: Sendable {
        public var storage = SlowStorage.factors
        /// nil: four times the rank of the fast slots.
        public var rank: Int?
        /// Learning rate relative to the fast slots'; 0 freezes the slow slot.
        public var multiplier = 0.1
    }

    public struct Alignment: Sendable {
        public enum Criterion: String, Sendable, CaseIterable { case residual, absolute }
        public enum Action: String, Sendable, CaseIterable { case zero, global }
        /// false: no alignment during training.
        public var isOn = false
        /// Steps between alignments.
        public var every = 50
        /// Share of the slow entries that count as important.
        public var share = 0.5
        public var criterion = Criterion.residual
        public var action = Action.zero
    }

    public struct Experts: Sendable {
        public enum Schedule: Sendable, Hashable {
            case halving, decades
            case list([Double])
        }
        /// nil: 3 for `parallel`, one per task for `moe-v0`.
        public var count: Int?
        public var schedule = Schedule.halving
        /// Every expert draws its own A.
        public var distinctInit = true
        public var sharedHead = false
        /// Gradients of the mean over all K·B rows instead of one mean per expert.
        public var expandedMean = false
    }

    public struct Optimisation: Sendable {
        public var kind = OptimizerKind.adamw
        public var learningRate = 1e-3
        public var headMultiplier = 5.0
        public var weightDecay = 0.0
        public var schedule = LearningRateSchedule.Shape.cosine
        public var minimumRate = 0.0
        public var warmupSteps = 0
        /// Largest global norm; nil: gradients are not clipped.
        public var clip: Double?
    }

    public enum HeadLoss: String, Sendable, CaseIterable {
        case local, seen
        case logitAdjusted = "logit-adjusted"
    }

    public enum HeadKind: String, Sendable, CaseIterable {
        case linear, ncm, ranpac, lda
    }

    public struct Head: Sendable {
        /// The head that predictions, metrics and selection use.
        public var kind = HeadKind.linear
        /// Further heads that are evaluated on every state.
        public var also: [HeadKind] = []
        public var loss = HeadLoss.local
        public var tau = 1.0
        public var refitEpochs = 5
        /// Features of the backbone and of the adapted network side by side (APER).
        public var concatenated = false
        public var hidden: Int?
        /// nil: chosen on a held-out fifth of each task.
        public var lambda: Double?
        public var weightAlign = false
    }

    public enum EvalRule: String, Sendable, CaseIterable {
        case sum, mean, last, none
        case lossGate = "loss-ema"
    }

    public struct TimeScales: Sendable {
        /// Steps between updates of the fast, mid and slow slots.
        public var gradientPeriods = [1, 8, 64]
        /// Accumulated gradients are averaged instead of summed.
        public var averages = false
        /// Tasks between fast → mid and mid → slow.
        public var cascadePeriods = [1, 3]
        public var finalFlush = true
    }

    public struct Selection: Sendable {
        /// Test data choose the winner: leaky, only for reproducing such results.
        public var usesTest = false
        public var seenScope = false
    }

    public struct Consolidating: Sendable {
        /// nil: task arithmetic with its default α.
        public var rule: ConsolidationRule?
        /// Share of the fast slot that stays (ρ).
        public var keep = 0.0
        /// Least gain on validation over slow alone; nil: always.
        public var gate: Double?
    }

    public var name = "run"
    /// Folder that relative paths start from.
    public var folder = ""
    public var data = ""
    public var backbone = "starter"
    public var input: [String: [Double]] = [:]
    public var feature: Pooling?
    /// `B0-Inc2`; nil: the tasks of the data.
    public var protocolName: String?
    /// Column of the data whose values are the tasks.
    public var taskColumn: String?
    public var structure = Structure.chain
    public var rank = 4
    public var loraAlpha = 4.0
    public var sites = ["qkv", "proj", "fc1", "fc2"]
    /// First adapted block and the one behind the last; nil: all.
    public var blocks: Range<Int>?
    public var factorMode = FactorMode.independent
    public var slow = Slow()
    public var consolidation = Consolidating()
    public var alignment = Alignment()
    public var experts = Experts()
    public var optimizer = Optimisation()
    public var epochs = 5
    public var batch = 32
    public var head = Head()
    public var validationFraction = 0.1
    public var validationMinimum = 5
    /// First so many training samples of each class; nil: all.
    public var trainPerClass: Int?
    public var selection = Selection()
    public var evalRule = EvalRule.sum
    public var timeScales = TimeScales()
    public var firstTaskOnly = false
    /// nil: classes in the order of the data.
    public var classOrderSeed: UInt64? = 0
    public var seeds: [UInt64] = [0]
    public var strictInvariants = true
    public var sharesCompute = true
    public var prefixCacheMegabytes = 512
    public var writesPredictions = true
    /// Where ablation views are evaluated besides validation.
    public var ablatesOnTest = false

    public init() {}

    /// ΔW = scale · B · A.
    public var scale: Double { loraAlpha / Double(rank) }
}
