import Networks
import Training

/// Experts that are trained together with, or before, their routers (LoRA-Mixer reference, section 5.2).
final class ExpertLearning {
    private let evaluation: RoutedEvaluation
    private let options: RouterTrainingOptions
    /// β of the preservation loss.
    private let beta: Double
    private let start: [[Float]]
    private var optimizer: Optimizer<Float>?

    init(_ evaluation: RoutedEvaluation, _ setup: RouterSetup) {
        self.evaluation = evaluation
        options = setup.training
        beta = setup.loss.beta
        start = evaluation.experts.slots.map { Array($0.values.prefix($0.count)) }
    }

    var values: [[Float]] {
        get { evaluation.experts.slots.map { Array($0.values.prefix($0.count)) } }
        set {
            for (slot, numbers) in zip(evaluation.experts.slots, newValue) { slot.assign(numbers) }
            evaluation.experts.refresh()
        }
    }

    /// Back to the beginning, for another fold.
    func restart(_ steps: SiteSteps) {
        values = start
        steps.refreshExperts()
        let groups = zip(evaluation.experts.slots, steps.expertGradients).compactMap { slot, gradient in
            gradient.map {
                ParameterGroup(
                    name: slot.name, values: UnsafeMutableBufferPointer(rebasing: slot.values[0..<slot.count]),
                    gradient: $0, weightDecay: options.expertDecay)
            }
        }
        optimizer = Optimizer(.adamw, groups: groups)
    }

    /// Adds the gradient of β Σ‖θ − θ₀‖², clips and moves the experts.
    ///
    /// - Parameter rate: share of the experts' learning rate.
    /// - Returns: Σ‖θ − θ₀‖² before the step.
    func step(_ steps: SiteSteps, rate: Double, preserving: Bool) -> Double {
        guard let optimizer else { return 0 }
        var distance = 0.0
        for (index, group) in optimizer.groups.enumerated() {
            for i in group.values.indices {
                let change = group.values[i] - start[index][i]
                distance += Double(change) * Double(change)
                if preserving { group.gradient[i] += Float(2 * beta) * change }
            }
        }
        if options.clip > 0 { GradientClipping.clip(optimizer.groups, to: options.clip) }
        optimizer.step(learningRate: options.expertRate * rate)
        steps.refreshExperts()
        evaluation.experts.refresh()
        return distance
    }
}
