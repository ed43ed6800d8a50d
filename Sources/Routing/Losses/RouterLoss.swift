/// One term of the router's loss.
///
/// A new term is one file with a type that conforms, and one line in ``RouterLosses/all``.
public protocol RouterLoss: Sendable {
    /// The key under `loss` that carries its coefficient, and the name in logs.
    static var name: String { get }
    /// One line for help and docs.
    static var about: String { get }

    /// The unweighted value; adds `scale` times its gradient to `batch.dz` (or `batch.du`).
    func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double
}

/// The register of terms.
public enum RouterLosses {
    public static let all: [any RouterLoss.Type] = [
        BalanceLoss.self, EntropyLoss.self, MutualInformationLoss.self, ZLoss.self, ImportanceVariation.self,
        TaskConstraint.self, DomainCrossEntropy.self, ClassCrossEntropy.self,
    ]
}

/// A term with its coefficient.
public struct WeightedLoss: Sendable {
    public let loss: any RouterLoss
    public let coefficient: Double
    /// The coefficient grows linearly from 0 over this share of the steps; 0: constant.
    public let ramp: Double

    public init(_ loss: any RouterLoss, _ coefficient: Double, ramp: Double = 0) {
        self.loss = loss
        self.coefficient = coefficient
        self.ramp = ramp
    }

    public var name: String { type(of: loss).name }

    /// The coefficient at step `step` of `steps`.
    public func coefficient(at step: Int, of steps: Int) -> Double {
        guard ramp > 0, steps > 0 else { return coefficient }
        return coefficient * min(1, Double(step + 1) / (ramp * Double(steps)))
    }
}
