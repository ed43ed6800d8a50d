import Diagnostics
import Evaluation
import Networks
import Training

/// Samples of a task as the backbone reads them, with the rows in front of the first adapted layer kept when they fit:
/// frozen layers run once, not in every epoch, for every expert and every view (cil-engine 7.2).
public final class SampleSet: Sendable {
    public let encoded: EncodedSamples
    /// Row of the head of each sample's class.
    public let rows: [Int]
    private let prefix: PrefixActivations<Float>?

    public var count: Int { rows.count }
    public var keptBytes: Int { prefix?.byteCount ?? 0 }
    public var isCached: Bool { prefix != nil }

    /// - Parameters:
    ///   - layer: the first adapted layer.
    ///   - budget: bytes that the kept rows may take; they are reduced by what is taken.
    init(
        _ encoded: EncodedSamples, plan: TaskPlan, backbone: Backbone<Float>, layer: Int, budget: inout Int,
        threads: Int
    ) throws {
        self.encoded = encoded
        rows = encoded.labels.map { plan.rowOfClass[$0] ?? 0 }
        prefix = try Self.prefix(encoded, backbone, layer, budget, threads)
        budget -= prefix?.byteCount ?? 0
    }

    private static func prefix(
        _ encoded: EncodedSamples, _ backbone: Backbone<Float>, _ layer: Int, _ budget: Int, _ threads: Int
    ) throws -> PrefixActivations<Float>? {
        guard encoded.count > 0, budget > 0 else { return nil }
        let rows: Int
        if case .images = backbone.description.input {
            rows = try backbone.lengths(of: encoded.input([0])).reduce(0, +) * encoded.count
        } else {
            rows = try backbone.lengths(of: encoded.input(Array(0..<encoded.count))).reduce(0, +)
        }
        guard rows * backbone.description.width * MemoryLayout<Float>.stride <= budget else { return nil }
        return try backbone.prefix(of: encoded.input(Array(0..<encoded.count)), through: layer, threads: threads)
    }

    /// The network input of the samples at `positions`; the kept rows where there are any.
    func input(_ positions: [Int], usingPrefix: Bool = true) -> NetworkInput<Float> {
        if usingPrefix, let prefix { return .activations(prefix, samples: positions) }
        return encoded.input(positions)
    }
}

/// What may be learned from in a task.
struct TrainSet: Sendable {
    let set: SampleSet
}

/// What may be chosen by in a task.
struct ValSet: Sendable {
    let set: SampleSet
}

/// What is only reported. No function that trains or selects takes it.
struct TestSet: Sendable {
    let set: SampleSet
}
