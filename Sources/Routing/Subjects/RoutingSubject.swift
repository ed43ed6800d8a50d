import Adapters
import Networks
import Tensors

/// One way to mix the experts, to be evaluated: a trained router, a baseline, a static merge.
public struct RoutingSubject: Sendable {
    public enum Kind: Sendable {
        /// The network without experts.
        case backbone
        /// A static merge instead of the experts.
        case adapter(Adapter)
        /// One weight per expert, the same everywhere.
        case constant([Float])
        /// Weights [samples, experts] for exactly the samples that are evaluated, in their order (oracles).
        case given(Matrix<Float>)
        /// Computed at each linear.
        case router(any SiteRouter<Float>)
        /// Computed from what the frozen backbone makes of a sample.
        case frozen(any FrozenRouter)
    }

    /// The `subject` of the results: `router:topk2`, `uniform`, `merged:iso_c`.
    public var label: String
    public var kind: Kind
    /// The router gives weights for every site of a linear (q, k, v) of its own.
    public var perSite: Bool
    /// The linears of a layer share one decision.
    public var decidesPerLayer = false
    /// Experts with weight per token, where it is known: what the choice of a plan goes by.
    public var active: Int?
    /// How products are arranged; results agree to rounding.
    public var plan = ExecutionPlan.auto

    public init(label: String, kind: Kind, perSite: Bool = false, active: Int? = nil) {
        self.active = active
        self.label = label
        self.kind = kind
        self.perSite = perSite
    }

    /// Weights [samples, experts] as a function of the pooled features [samples, width] of the frozen backbone, scaled to
    /// unit length when the suite says so. A row may depend on its own sample alone.
    public static func perSample(
        _ label: String, _ weights: @escaping @Sendable (_ features: Matrix<Float>) throws -> Matrix<Float>
    ) -> RoutingSubject {
        RoutingSubject(label: label, kind: .frozen(PooledRouter(weights: weights)))
    }
}

/// Samples on their way, as routers over the frozen backbone see them.
public struct FrozenPass {
    public let backbone: Backbone<Float>
    public let input: NetworkInput<Float>
    public let threads: Int
    /// Pooled features [samples, width], computed when first asked for.
    public let features: () throws -> Matrix<Float>
}

/// Computes mixing weights from a pass through the frozen backbone.
public protocol FrozenRouter: Sendable {
    /// `.perSample` or `.perRow` coefficients of the samples of a pass.
    func coefficients(_ pass: FrozenPass) throws -> Coefficients<Float>
}

private struct PooledRouter: FrozenRouter {
    let weights: @Sendable (Matrix<Float>) throws -> Matrix<Float>

    func coefficients(_ pass: FrozenPass) throws -> Coefficients<Float> {
        .perSample(try weights(try pass.features()).elements)
    }
}
