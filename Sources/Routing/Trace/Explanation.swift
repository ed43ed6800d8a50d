import Evaluation
import Foundation
import Tensors

/// Why a sample was answered as it was (LoRA-Mixer reference, section 9.2).
public struct Explanation: Sendable {
    /// What happens without one expert, its weight given to the others.
    public struct Counterfactual: Sendable {
        public let expert: Int
        public let prediction: Int
        /// −ln p(label).
        public let loss: Double
        /// Loss without the expert − loss with it: above zero when the expert helped.
        public let effect: Double
    }

    public let trace: SampleTrace
    public let label: Int
    public let loss: Double
    /// −ln p(label) and prediction of the frozen backbone.
    public let backboneLoss: Double
    public let backbonePrediction: Int
    /// One entry per expert that has weight, the strongest first.
    public let counterfactuals: [Counterfactual]

    /// - Parameter samples: one sample.
    public init(_ evaluation: RoutedEvaluation, router: TrainedRouter, _ samples: RoutedSamples) throws {
        let label = samples.encoded.labels[0]
        func run(removing removed: Set<Int>) throws -> SampleTrace? {
            var found: SampleTrace?
            try TracedPass(evaluation, router: router, removing: removed).run(samples) { found = $0 }
            return found
        }
        let trace = try run(removing: []) ?? SampleTrace(position: 0, logits: [], sites: [], experts: 0)
        let loss = Self.loss(trace.logits, label)
        let load = trace.load
        let used = load.indices.filter { load[$0] > 0 }.sorted { (-load[$0], $0) < (-load[$1], $1) }
        counterfactuals = try used.compactMap { expert in
            try run(removing: [expert]).map {
                let other = Self.loss($0.logits, label)
                return Counterfactual(expert: expert, prediction: $0.prediction, loss: other, effect: other - loss)
            }
        }
        let backbone = try evaluation.predictions(RoutingSubject(label: "backbone", kind: .backbone), samples)
        backboneLoss = Self.loss(backbone.logits.elements, label)
        backbonePrediction = backbone.tally.predictions.first ?? 0
        (self.trace, self.label, self.loss) = (trace, label, loss)
    }

    private static func loss(_ logits: [Float], _ label: Int) -> Double {
        let top = Double(logits.max() ?? 0)
        return top + log(logits.reduce(0.0) { $0 + exp(Double($1) - top) }) - Double(logits[label])
    }
}
