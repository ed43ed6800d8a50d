import Networks
import Training

/// Takes one step of training: forward, losses, backward. The gradient of the router's parameters is left in `gradient`.
protocol RouterSteps: AnyObject {
    var model: RouterModel { get }
    var gradient: UnsafeMutableBufferPointer<Double> { get }

    /// - Parameters:
    ///   - positions: the batch, among the samples of the training.
    ///   - coefficients: of the setup's terms at this step.
    ///   - mode: how weights follow from scores.
    /// - Returns: the unweighted terms.
    func step(_ positions: [Int], coefficients: [Double], mode: RoutingOptions.Mode) throws -> [LossRecord.Term]
}

/// What both kinds of steps share: the setup's terms on every network's decisions.
struct LossTerms {
    let losses: [WeightedLoss]

    /// Adds the terms' gradients to the batches and returns their values, averaged over networks.
    func evaluate(_ batches: inout [RouterBatch], coefficients: [Double]) -> [LossRecord.Term] {
        let share = 1 / Double(max(1, batches.count))
        return zip(losses, coefficients).map { loss, coefficient in
            var value = 0.0
            for index in batches.indices {
                value += share * loss.loss.evaluate(&batches[index], scale: share * coefficient)
            }
            return LossRecord.Term(name: loss.name, value: value, coefficient: coefficient)
        }
    }
}

/// What is known of the samples of a training.
struct LearningSamples {
    let samples: RoutedSamples
    /// Expert of each sample's task.
    let domains: [Int?]
    /// Unit of each sample's class, for `prototypes`.
    let units: [Int?]

    init(_ samples: RoutedSamples, tasks: ExpertTasks, model: RouterModel) {
        self.samples = samples
        let labels = samples.encoded.labels
        domains = labels.map { tasks.expert(ofClass: $0) }
        let unitOfClass = Dictionary(
            model.unitClasses.enumerated().compactMap { unit, label in label.map { ($0, unit) } }
        ) { first, _ in first }
        units = labels.map { unitOfClass[$0] }
    }
}
