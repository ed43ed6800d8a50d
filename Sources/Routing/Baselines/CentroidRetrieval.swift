import Foundation
import Tensors

/// Retrieval by the frozen backbone's pooled feature: each expert keeps features of a few inputs of its task; a sample goes
/// to the experts whose inputs it resembles (section 7.4). z_e = mean or largest cosine, the K largest, softmax(z/0.1).
/// K and the form of z are chosen on validation samples.
struct CentroidRetrieval: RoutingBaseline {
    enum Similarity: String, CaseIterable {
        case mean, largest
    }

    struct Setting {
        var k: Int
        var similarity: Similarity
    }

    static let temperature = 0.1
    /// Inputs per expert at most.
    static let librarySize = 100

    let id = "centroid"
    let summary = "per sample: experts by cosine to a few inputs of their tasks"
    let needsTraining = true

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        guard let training = context.training else { return [] }
        let features = try context.evaluation.frozenFeatures(training.samples)
        let sizes = [3, 2, 1].filter { $0 <= context.experts.count }
        let settings = Similarity.allCases.flatMap { similarity in sizes.map { Setting(k: $0, similarity: similarity) }
        }
        // Choosing with a library that holds the validation samples would favour the largest cosine.
        let libraries = Self.libraries(
            features, training, training.fitting, experts: context.experts.count, seed: context.seed)
        let best = try context.chosen(settings) { Self.subject(id, libraries, $0) }
        guard let best else { return [] }
        let all = Self.libraries(
            features, training, Array(training.domains.indices), experts: context.experts.count,
            seed: context.seed)
        return [
            RoutedResult(
                try context.book.predictions(Self.subject(id, all, best)),
                detail: "k = \(best.k), \(best.similarity.rawValue) cosine" + context.choiceNote)
        ]
    }

    /// Unit-length features of some inputs of each expert's task, as many of each class as can be.
    static func libraries(
        _ features: Matrix<Float>, _ training: BaselineContext.Training, _ positions: [Int], experts: Int,
        seed: UInt64
    ) -> [[[Double]]] {
        (0..<experts).map { expert in
            TrainingChoice.spread(
                positions.filter { training.domains[$0] == expert }, groups: training.samples.encoded.labels,
                count: librarySize, seed: seed
            ).map { unit(features, $0) }
        }
    }

    static func subject(_ label: String, _ libraries: [[[Double]]], _ setting: Setting) -> RoutingSubject {
        .perSample(label) { features in
            var weights = Matrix<Float>(rows: features.rows, columns: libraries.count)
            for row in 0..<features.rows {
                let w = Self.weights(unit(features, row), libraries, setting)
                for (expert, weight) in w.enumerated() { weights[row, expert] = Float(weight) }
            }
            return weights
        }
    }

    static func weights(_ x: [Double], _ libraries: [[[Double]]], _ setting: Setting) -> [Double] {
        let scores = libraries.map { library -> Double? in
            let cosines = library.map { zip($0, x).reduce(0.0) { $0 + $1.0 * $1.1 } }
            switch setting.similarity {
            case .mean: return cosines.isEmpty ? nil : cosines.reduce(0, +) / Double(cosines.count)
            case .largest: return cosines.max()
            }
        }
        return ExpertScores.topWeights(scores, k: setting.k, temperature: temperature)
    }

    private static func unit(_ features: Matrix<Float>, _ row: Int) -> [Double] {
        let x = features.elements[row * features.columns..<(row + 1) * features.columns].map(Double.init)
        let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? x.map { $0 / length } : x
    }
}

/// Scores of whole samples → weights.
enum ExpertScores {
    /// Softmax over the K largest scores, zero elsewhere; the lower index wins a tie; experts without a score get none.
    static func topWeights(_ scores: [Double?], k: Int, temperature: Double) -> [Double] {
        let order = scores.indices.filter { scores[$0] != nil }.sorted {
            (-(scores[$0] ?? 0), $0) < (-(scores[$1] ?? 0), $1)
        }.prefix(k)
        var weights = [Double](repeating: 0, count: scores.count)
        guard let first = order.first, let top = scores[first] else { return weights }
        let powers = order.map { exp(((scores[$0] ?? 0) - top) / temperature) }
        let sum = powers.reduce(0, +)
        for (expert, power) in zip(order, powers) { weights[expert] = power / sum }
        return weights
    }
}
