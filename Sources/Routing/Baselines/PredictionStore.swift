import Diagnostics
import Digests
import Evaluation
import Foundation
import Tensors
import WeightFiles

/// Predictions of subjects that training does not change, kept in a folder from run to run: a study over training sets
/// runs its experts over the test samples once.
///
/// A file's name is the SHA-256 of everything that decides its content: weights of the backbone, updates of the experts,
/// the head's scores of fixed features, samples, input settings, and the subject.
public struct PredictionStore: Sendable {
    private static let schema = "lorabank.predictions/1"
    private let folder: String
    private let evaluationKey: String

    /// - Throws: `io.*` when the folder cannot be made.
    public init(folder: String, for evaluation: RoutedEvaluation) throws {
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var hasher = SHA256Hasher()
        let suite = evaluation.loaded.suite
        hasher.update(Self.schema)
        hasher.update(RouterFile.digest(of: evaluation.experts.backbone))
        for expert in evaluation.experts.experts { hasher.update(expert.digest) }
        hasher.update("\(suite.input) \(suite.feature) \(suite.normalisation)")
        let probe = CounterRandom(seed: 1, stream: "head probe").normalMatrix(rows: 3, columns: evaluation.head.width)
        evaluation.head.logits(probe).elements.withUnsafeBufferPointer { hasher.update(UnsafeRawBufferPointer($0)) }
        evaluationKey = hasher.finish().hex
    }

    private func path(_ subject: String, _ book: PredictionBook) -> String {
        var hasher = SHA256Hasher()
        hasher.update(evaluationKey)
        hasher.update(book.samples.labelled.contentHash.hex)
        hasher.update(subject)
        return folder + "/" + hasher.finish().hex + ".safetensors"
    }

    func read(_ subject: String, _ book: PredictionBook) throws -> RoutedPredictions? {
        let path = path(subject, book)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let file = try SafetensorsFile(path: path)
        let classes = book.evaluation.head.classCount
        func table(_ name: String, _ columns: Int) throws -> Matrix<Float>? {
            guard let view = file.view(name), view.shape == [book.samples.count, columns] else { return nil }
            return try view.floatMatrix(rows: view.shape[0], columns: view.shape[1])
        }
        guard let logits = try table("logits", classes) else {
            throw Failure(
                .routerBadFile, "the kept predictions have no scores of shape [\(book.samples.count), \(classes)]",
                path: path, place: "logits", hint: "remove the file; it is made again")
        }
        return RoutedPredictions(
            label: subject, logits: logits, labels: book.labels, tasks: book.evaluation.loaded.tasks,
            weights: try table("weights", book.evaluation.experts.count),
            seconds: Double(try file.view("seconds")?.floatMatrix(rows: 1, columns: 1).elements.first ?? 0))
    }

    private func tensor(_ name: String, _ shape: [Int], _ values: [Float]) throws -> TensorView {
        let buffer = try TensorBuffer(name: name, dtype: .f32, shape: shape)
        _ = try values.withUnsafeBufferPointer { try buffer.write($0) }
        return buffer.view
    }

    /// Features [samples, width] of the frozen backbone; nil when they are not kept.
    func features(_ book: PredictionBook) throws -> Matrix<Float>? {
        let path = path("features", book)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let shape = [book.samples.count, book.evaluation.experts.backbone.description.width]
        guard let view = try SafetensorsFile(path: path).view("features"), view.shape == shape else { return nil }
        return try view.floatMatrix(rows: shape[0], columns: shape[1])
    }

    func write(features: Matrix<Float>, _ book: PredictionBook) throws {
        try SafetensorsWriter.write(
            [try tensor("features", [features.rows, features.columns], features.elements)],
            to: path("features", book), overwrite: true)
    }

    func write(_ predictions: RoutedPredictions, as subject: String, _ book: PredictionBook) throws {
        let logits = predictions.logits
        var tensors = [
            try tensor("logits", [logits.rows, logits.columns], logits.elements),
            try tensor("seconds", [1, 1], [Float(predictions.seconds)]),
        ]
        if let weights = predictions.weights {
            tensors.append(try tensor("weights", [weights.rows, weights.columns], weights.elements))
        }
        try SafetensorsWriter.write(tensors, to: path(subject, book), overwrite: true)
    }
}
