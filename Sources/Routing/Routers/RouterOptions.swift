/// What a router looks at and how it turns that into scores (LoRA-Mixer reference, section 3.1).
public struct RouterOptions: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        /// z = R φ(x) + c.
        case linear
        /// z = R₂ SiLU(R₁ φ(x)) + c.
        case mlp
        /// z_e = κ ⟨x/‖x‖, ρ_e/‖ρ_e‖⟩, κ learned.
        case cosine
        /// Several linear units u_j = ⟨ρ_j, φ(x)⟩ + c_j per expert, one per class of its task: z_e = ln Σ_j exp u_j.
        case prototypes
    }

    public enum Norm: String, Sendable, CaseIterable {
        case none, rms, layernorm
    }

    public enum Scope: String, Sendable, CaseIterable {
        /// One router per distinct input: q, k and v share one.
        case input
        /// One router per linear.
        case site
        /// One router per layer, fed by the layer's input.
        case layer
        /// One router for the network, fed by what the frozen backbone makes of the sample.
        case global
    }

    public enum Granularity: String, Sendable, CaseIterable {
        case token
        /// Reads the mean over the sample's rows; in decoders over the rows so far, so that generation stays causal.
        case sequence
    }

    public enum Initialisation: String, Sendable, CaseIterable {
        /// Normal numbers of deviation 0.02.
        case normal
        /// Exactly uniform routing at first.
        case zeros
        /// Rows are the experts' first right singular vectors.
        case arrow
        /// Rows are means of the training samples' features: of each class for `prototypes`, of each task otherwise.
        /// Needs scope `global`.
        case means
    }

    public enum Coverage: String, Sendable, CaseIterable {
        /// The share of an expert that has no pair at a site is lost: it means the backbone's own behaviour.
        case drop
        /// Only experts that have a pair at the site share the weight.
        case mask
    }

    public var kind = Kind.linear
    public var scope = Scope.input
    public var granularity = Granularity.token
    public var bias = false
    /// nil: `none` where the input follows a norm, `rms` elsewhere.
    public var norm: Norm?
    /// τ > 0.
    public var temperature = 1.0
    public var initialisation = Initialisation.normal
    /// What the initial rows of `arrow` and `means` are multiplied by; κ of `cosine`.
    public var gain = 10.0
    /// For `means` of `prototypes`: as how many samples the head's row of a class counts; classes without samples start
    /// from that row in any case.
    public var headSamples = 3.0
    /// Width of the hidden layer of `mlp`.
    public var hidden = 64
    /// One more expert that changes nothing.
    public var nullExpert = false
    public var coverage = Coverage.drop
    /// No gradient flows through the router to its input.
    public var detachInput = false
    /// For scope `global`: read the hidden states in front of this layer; nil: behind the last, as the suite pools them.
    public var layer: Int?

    public init() {}
}

/// How scores become mixing weights (section 3.2).
public struct RoutingOptions: Sendable, Hashable {
    public enum Mode: String, Sendable, CaseIterable {
        /// The expert of the sample's task.
        case hard
        case soft
        /// The K largest, renormalised.
        case topk
        /// The K largest as they are.
        case topkRaw = "topk-raw"
        /// Forward as `topk`, backward as `soft`.
        case topkSTE = "topk-ste"
        case uniform, fixed

        /// True when weights depend on the router.
        public var isRouted: Bool { self != .hard && self != .uniform && self != .fixed }
        /// True when only K experts get weight.
        public var isSparse: Bool { self == .topk || self == .topkRaw || self == .topkSTE }
    }

    public enum Scale: String, Sendable, CaseIterable {
        /// Weights as the mode gives them: their sum is 1.
        case convex
        /// Weights divided by their Euclidean length: as long an update as one expert's when updates are orthogonal.
        case unit
    }

    public var mode = Mode.topk
    /// 1…experts; nil: min(3, experts).
    public var k: Int?
    /// Weights below it are dropped after renormalisation, the rest renormalised; 0: none.
    public var threshold = 0.0
    /// The smallest set of experts whose probabilities reach it, instead of K; nil: K.
    public var topP: Double?
    public var scale = Scale.convex
    /// Weights of mode `fixed`, one per expert.
    public var fixed: [Double] = []

    public init(mode: Mode = .topk, k: Int? = nil) {
        self.mode = mode
        self.k = k
    }

    /// K for so many experts.
    public func active(of experts: Int) -> Int { min(experts, max(1, k ?? 3)) }

    /// `topk2`, `soft`: what stands behind `router:` in a subject.
    public func label(experts: Int) -> String {
        var text = mode.isSparse ? mode.rawValue + (topP.map { "-p\($0)" } ?? "\(active(of: experts))") : mode.rawValue
        if scale == .unit { text += "-unit" }
        if threshold > 0 { text += "-t\(threshold)" }
        return text
    }
}
