import Foundation
import Networks
import Tensors
import Training

/// LoraHub (section 7.5; Huang et al. 2023): one weight per expert, the same everywhere, found without gradients. Minimises
/// the cross-entropy of a few samples + 0.05·mean|v| over v ∈ [−1.5, 1.5]^E, on the updates: Σ v_e ΔW_e.
struct LoraHub: RoutingBaseline {
    static let penalty = 0.05
    static let bounds = -1.5...1.5
    /// Samples that each candidate is judged on, and candidates.
    var samples = 64
    var evaluations = 130

    let id = "lorahub"
    let summary = "one weight per expert for everything, found by an evolution strategy on a few samples"
    let needsTraining = true

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        guard let training = context.training else { return [] }
        let chosen = TrainingChoice.spread(
            Array(training.domains.indices), groups: training.domains, count: samples, seed: context.seed)
        let few = try context.evaluation.encode(training.samples.labelled.selecting(chosen))
        let search = EvolutionStrategy(bounds: Self.bounds, evaluations: evaluations, seed: context.seed)
        let found = try search.minimise(from: Array(repeating: 0, count: context.experts.count)) { v in
            if context.book.isCancelled() { throw CancellationError() }
            let subject = RoutingSubject(label: id, kind: .constant(v.map(Float.init)))
            let losses = try context.evaluation.predictions(subject, few).losses(labels: few.encoded.labels)
            return Self.objective(losses, v)
        }
        let weights = found.point.map { String(format: "%.2f", $0) }.joined(separator: " ")
        let subject = RoutingSubject(label: id, kind: .constant(found.point.map(Float.init)))
        return [
            RoutedResult(try context.book.predictions(subject), detail: "\(few.count) samples, v = \(weights)")
        ]
    }

    static func objective(_ losses: [Double], _ v: [Double]) -> Double {
        losses.reduce(0, +) / Double(max(1, losses.count))
            + penalty * v.reduce(0) { $0 + abs($1) } / Double(max(1, v.count))
    }
}
