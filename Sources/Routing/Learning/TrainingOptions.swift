/// How routers are trained (LoRA-Mixer reference, section 5.3).
public struct RouterTrainingOptions: Sendable, Hashable {
    public enum Regime: String, Sendable, CaseIterable {
        /// Routers over frozen experts.
        case plugAndPlay = "plug-and-play"
        /// Experts with hard routing, then routers.
        case joint
    }

    public enum StageTwo: String, Sendable, CaseIterable {
        case router, both
    }

    public var regime = Regime.plugAndPlay
    /// The mode in which routers learn.
    public var mode = RoutingOptions.Mode.soft
    public var batch = 32
    /// nil: 5 epochs, but at least 200 steps.
    public var steps: Int?
    public var epochs: Int?
    public var learningRate = 1e-3
    public var weightDecay = 0.0
    /// Share of the steps.
    public var warmup = 0.05
    /// Global norm of the gradient; 0: no limit.
    public var clip = 1.0
    /// Steps between validations; nil: a fifth of all.
    public var evaluateEvery: Int?
    public var validation = 0.2
    /// Folds for fewer than `smallest` samples.
    public var folds = 5
    /// Train once more on all samples for as many steps as were best in validation.
    public var refit = false
    public var seed: UInt64 = 1
    /// Experts without training samples of their task are allowed.
    public var allowMissing = false
    /// Less memory, more work, the same router.
    public var usesGradientCheckpointing = false

    // MARK: Joint training

    public var expertRate = 1e-4
    public var expertDecay = 0.01
    /// Steps of the first stage; nil: as many as `steps`.
    public var expertSteps: Int?
    public var stageTwo = StageTwo.router
    /// Share of the steps, at the end, in mode `topk-ste`.
    public var stageThree = 0.0

    public init() {}

    /// Below this many samples validation runs in folds.
    public static let smallest = 20

    /// Steps for so many samples.
    public func totalSteps(samples: Int) -> Int {
        if let steps { return steps }
        let perEpoch = max(1, (samples + batch - 1) / batch)
        return epochs.map { $0 * perEpoch } ?? max(200, 5 * perEpoch)
    }
}
