/// The router's loss: a preset, and what is added to it (LoRA-Mixer reference, sections 4.4 to 4.7).
public struct LossOptions: Sendable {
    public enum Preset: String, Sendable, CaseIterable {
        /// The paper's printed equation: balance with factor 1, entropy with the printed sign.
        case rslPrinted = "rsl-printed"
        /// What the paper's text describes: balance with factor E, entropy that sharpens, growing over the first 30 %.
        case rslSharpen = "rsl-sharpen"
        /// Reconstruction of the first version: an outer weight, load by mass.
        case sblV1 = "sbl-v1"
        /// Balance alone.
        case aux
        /// Mutual information.
        case mi
        /// The task loss alone.
        case none
    }

    public var preset = Preset.rslPrinted
    /// α: balance.
    public var alpha = 0.01
    /// λ: entropy, or mutual information.
    public var lambda = 0.01
    /// β: preservation of experts, where they are trained.
    public var beta = 0.01
    /// Weight of the task loss through the mixture; 0: the mixture is not run in training.
    public var task = 1.0
    /// nil: as the preset says.
    public var balance: BalanceLoss?
    public var sign: EntropyLoss.Sign?
    /// Coefficients of further terms, by name; δ of `loramoe`.
    public var extra: [String: Double] = [:]
    public var delta = 0.1

    public init() {}

    /// The names that `extra` may hold.
    public static let extraNames = [
        ZLoss.name, ImportanceVariation.name, TaskConstraint.name, DomainCrossEntropy.name, ClassCrossEntropy.name,
        MutualInformationLoss.name,
    ]

    /// Every term with its coefficient, those of coefficient 0 left out.
    public var terms: [WeightedLoss] {
        var result: [WeightedLoss] = []
        let factorOne = BalanceLoss(load: .top1, factor: .one)
        switch preset {
        case .rslPrinted:
            result = [
                WeightedLoss(balance ?? factorOne, alpha), WeightedLoss(EntropyLoss(sign ?? .printed), lambda),
            ]
        case .rslSharpen:
            result = [
                WeightedLoss(balance ?? BalanceLoss(), alpha),
                WeightedLoss(EntropyLoss(sign ?? .sharpen), lambda, ramp: 0.3),
            ]
        case .sblV1:
            result = [
                WeightedLoss(balance ?? BalanceLoss(load: .mass, factor: .one), alpha * alpha),
                WeightedLoss(EntropyLoss(sign ?? .printed), alpha * lambda),
            ]
        case .aux: result = [WeightedLoss(balance ?? BalanceLoss(), alpha)]
        case .mi: result = [WeightedLoss(MutualInformationLoss(), lambda)]
        case .none: if let balance { result = [WeightedLoss(balance, alpha)] }
        }
        if let sign, preset == .none || preset == .aux || preset == .mi {
            result.append(WeightedLoss(EntropyLoss(sign), lambda))
        }
        for name in Self.extraNames {
            guard let coefficient = extra[name], let loss = loss(named: name) else { continue }
            result.append(WeightedLoss(loss, coefficient))
        }
        return result.filter { $0.coefficient != 0 }
    }

    private func loss(named name: String) -> (any RouterLoss)? {
        switch name {
        case ZLoss.name: ZLoss()
        case ImportanceVariation.name: ImportanceVariation()
        case TaskConstraint.name: TaskConstraint(delta: delta)
        case DomainCrossEntropy.name: DomainCrossEntropy()
        case ClassCrossEntropy.name: ClassCrossEntropy()
        case MutualInformationLoss.name: MutualInformationLoss()
        default: nil
        }
    }
}
