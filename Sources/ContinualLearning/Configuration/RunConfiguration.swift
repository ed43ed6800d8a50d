import Evaluation
import Settings
import Training

/// Everything that decides what a run does (cil-engine 18). Read by ``RunConfigurationReader``.
public struct RunConfiguration: Sendable {
    public struct Data: Sendable, Hashable {
        /// Training images or texts per class that are trained on, the first in source order; nil: all.
        public var trainPerClass: Int?
        /// Test samples per class, the first in source order; nil: all.
        public var testPerClass: Int?
    }

    public struct Slow: Sendable, Hashable {
        public var storage = SlowStorage.factors
        /// nil: 4 · rank.
        public var rank: Int?
        public var multiplier = 0.1
    }

    public struct Consolidating: Sendable, Hashable {
        public var rule: ConsolidationRule
        /// ρ: share of fast that stays.
        public var keep = 0.0
        /// Least gain over slow alone on validation data that is worth keeping; nil: always.
        public var minimumGain: Double?
    }

    /// `align: pam-lite` (9.2) and the alignment of `structure: pam` (9.1).
    public struct Alignment: Sendable, Hashable {
        public enum Criterion: String, Sendable, CaseIterable { case residual, absolute }
        public enum Action: String, Sendable, CaseIterable { case zero, global, suppress }
        public var isOn = false
        public var every = 50
        public var share = 0.5
        public var criterion = Criterion.residual
        public var action = Action.zero
        /// Factor for conflicting entries with `suppress`.
        public var suppress = 0.0
        /// PAM: weight of the clone in the average; nil: 1/(t+1).
        public var mergeWeight: Double? = 0.5
    }

    public struct Experts: Sendable, Hashable {
        public enum Initialisation: String, Sendable, CaseIterable { case distinct, same }
        public enum HeadSharing: String, Sendable, CaseIterable {
            case perExpert = "per-expert"
            case shared
        }
        public enum LossReduction: String, Sendable, CaseIterable {
            case perExpert = "per-expert"
            case expandedMean = "expanded-mean"
        }
        /// nil: 3 for `parallel`, one per task for `moe-v0`.
        public var count: Int?
        public var schedule = ExpertSchedule.halving
        public var initialisation = Initialisation.distinct
        public var headSharing = HeadSharing.perExpert
        public var reduction = LossReduction.perExpert
    }

    /// `chain3` (10).
    public struct TimeScales: Sendable, Hashable {
        public enum Partial: String, Sendable, CaseIterable { case apply, discard, carry }
        public enum Reduction: String, Sendable, CaseIterable { case sum, mean }
        public var fastPeriod = 1
        public var midPeriod = 8
        public var slowPeriod = 64
        public var midTasks = 1
        public var slowTasks = 3
        public var reduction = Reduction.sum
        public var partial = Partial.apply
        public var finalFlush = true
        public var midRank: Int?
        public var midMultiplier = 0.3
        /// nil: as `consolidation.alpha`.
        public var alphaMid: Double?
        public var alphaSlow: Double?
    }

    public struct Optimisation: Sendable, Hashable {
        public var kind = OptimizerKind.adamw
        public var rate = 1e-3
        public var headMultiplier = 5.0
        public var weightDecay = 0.0
        public var headWeightDecay = 0.0
        public var schedule = LearningRateSchedule.Shape.cosine
        public var minimumRate = 0.0
        public var warmupSteps = 0
        public var clip: Double?
    }

    public struct Head: Sendable, Hashable {
        /// Evaluated heads; the first is the one whose numbers are the run's.
        public var kinds: [HeadKind] = [.linear]
        public var loss = HeadLossKind.local
        public var tau = 1.0
        public var refitEpochs = 5
        /// nil: when consolidation changed the features.
        public var refit: Bool?
        public var bias = true
        public var cosine = false
        public var kappa = 16.0
        public var weightAlign = false
        public var features = HeadFeatures.adapted
        /// ranpac: nil chooses λ by held-out error.
        public var lambda: Double?
        public var hidden: Int?
        public var driftCorrection = false
    }

    public struct Selection: Sendable, Hashable {
        public enum Split: String, Sendable, CaseIterable { case val, test }
        public enum Scope: String, Sendable, CaseIterable { case task, seen }
        public var split = Split.val
        public var scope = Scope.task
        /// Weight of the feature drift.
        public var gamma = 0.0
    }

    public struct Ablations: Sendable, Hashable {
        public enum Split: String, Sendable, CaseIterable { case none, val, both }
        public var split = Split.val
        public var ncm = false
    }

    public var name = ""
    /// Backbone, data, input, feature, normalisation and tasks, as a suite.
    public var suite: Suite
    public var data = Data()
    /// First task's classes (0: as the others), classes per task; nil: the tasks of the data.
    public var taskProtocol: (first: Int, increment: Int)?
    public var structure = Structure.chain
    public var rank = 4
    public var loraAlpha = 4.0
    public var sites: [String] = ["qkv", "proj", "fc1", "fc2"]
    /// nil: all.
    public var blocks: [Int]?
    public var factorMode = FactorMode.independent
    public var firstTaskOnly = false
    public var slow = Slow()
    public var consolidation: Consolidating
    public var alignment = Alignment()
    public var experts = Experts()
    public var evaluationRule: EvaluationRule
    public var gate = Gate.lossEMA
    public var timeScales = TimeScales()
    public var optimisation = Optimisation()
    public var epochs = 5
    public var batch = 32
    /// Less memory, more work, the same run.
    public var usesGradientCheckpointing = false
    public var head = Head()
    public var valFraction = 0.1
    public var valMinimum = 5
    public var selection = Selection()
    /// nil keeps the order of the data.
    public var classOrderSeed: UInt64? = 0
    public var trainSeeds: [UInt64] = [0]
    public var invariants = InvariantMode.strict
    public var sharesCompute = true
    public var prefixCacheMiB = 512
    public var ablations = Ablations()
    public var measuresForwardTransfer = true
    /// Keep predictions.csv at the end.
    public var writesPredictions = true
    /// Checkpoint after each epoch, too.
    public var checkpointsEpochs = false
    /// Keys that the structure does not use.
    public var unusedKeys: [String] = []

    public init(suite: Suite) throws {
        self.suite = suite
        consolidation = Consolidating(rule: try ConsolidationRule("ta"))
        evaluationRule = .sum
    }

    /// s = lora_alpha / r.
    public var scale: Double { loraAlpha / Double(rank) }
    public var slowRank: Int { slow.rank ?? (structure == .pam || factorMode == .sharedA ? rank : 4 * rank) }
    /// The seed of a run with a single one.
    public var seed: UInt64 { trainSeeds.first ?? 0 }

    /// The same for one training seed.
    public func with(trainSeed: UInt64) -> RunConfiguration {
        var copy = self
        copy.trainSeeds = [trainSeed]
        return copy
    }
}
