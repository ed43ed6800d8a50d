import Networks
import Tensors

/// Random weights for a backbone that is trained from nothing.
public enum BackboneStart {
    /// Matrices: normal numbers of standard deviation 1/√inputs, cut at two of them; those that write into the
    /// residual stream, 1/√(2·depth) of it. Embeddings: `embedding`. Norms: weight 1. Biases: 0. Each tensor has a
    /// random stream of its own name.
    public static func fill(_ backbone: Backbone<Float>, seed: UInt64, embedding: Float = 0.1) {
        let depth = Float(max(1, backbone.description.depth))
        for entry in backbone.parameters.entries {
            let target = backbone.parameters.elements(of: entry)
            guard isMatrix(entry) || isEmbedding(entry) else {
                target.update(repeating: entry.name.hasSuffix(".bias") ? 0 : 1)
                continue
            }
            var deviation = embedding
            if isMatrix(entry) {
                deviation = 1 / Float(entry.shape.dropFirst().reduce(1, *)).squareRoot()
                if entry.name.hasSuffix(".o.weight") || entry.name.hasSuffix(".fc2.weight") {
                    deviation /= (2 * depth).squareRoot()
                }
            }
            CounterRandom(seed: seed, stream: "initial-weights", entry.name).fillNormals(from: 0, into: target)
            for i in target.indices { target[i] = deviation * min(2, max(-2, target[i])) }
        }
        backbone.weightsChanged()
    }

    /// The weight of a linear layer.
    static func isMatrix(_ entry: ParameterEntry) -> Bool { entry.name.hasSuffix(".weight") && entry.shape.count > 1 }

    private static func isEmbedding(_ entry: ParameterEntry) -> Bool {
        entry.name == "cls" || entry.name == "positions" || entry.shape.count > 1
    }
}
