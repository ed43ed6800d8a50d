import Adapters
import Diagnostics
import Foundation
import LinearAlgebra
import Networks
import Tensors
import Training
import WeightFiles

/// Reads heads from files and adapters.
enum StoredHead {
    /// What the matrix of a head is called: in a head file, and in the checkpoints of other libraries.
    static let names = ["weight", "classifier.weight", "head.weight", "score.weight"]

    /// `weight` [classes, width] and optional `bias` [classes] of a head file, or the classifier of a checkpoint, which
    /// may be a folder.
    ///
    /// - Throws: `data.missing` without a head, `backbone.shape_mismatch`, `safetensors.*`, `io.*`.
    static func read(_ path: String, scale: Float, classes: Int, width: Int) throws -> LinearHead {
        let file = try weights(path)
        guard let weight = names.lazy.compactMap({ file.view($0) }).first else {
            throw Failure(
                .dataMissing, "the head has no tensor 'weight'", path: path,
                hint: "a head file holds weight [classes, width] and optionally bias [classes]")
        }
        let bias = file.view(String(weight.name.dropLast("weight".count)) + "bias")
        return try head(weight, bias: bias, scale: scale, classes: classes, width: width, path: path)
    }

    private static func weights(_ path: String) throws -> any WeightSet {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return try SafetensorsFile(path: path)
        }
        guard let found = try WeightFolder.open("model", in: FolderSource(path: path, followLinks: true)) else {
            throw Failure(.ioNotFound, "no model.safetensors and no model.safetensors.index.json", path: path)
        }
        return found
    }

    /// The classifier of the backbone's checkpoint. Its rows are put into the order of the data's classes when the
    /// configuration's `id2label` has the same names.
    static func ofBackbone(
        _ folder: String, configuration: JSONValue, names: [String], width: Int
    ) throws -> LinearHead {
        var result = try read(folder, scale: 1, classes: names.count, width: width)
        let labels = names.indices.compactMap { configuration["id2label"]?["\($0)"]?.string }
        guard labels != names, Set(labels) == Set(names), labels.count == names.count else { return result }
        let rows = names.map { labels.firstIndex(of: $0) ?? 0 }
        let old = result
        for (row, source) in rows.enumerated() {
            for column in 0..<width { result.weight[row, column] = old.weight[source, column] }
            if !old.bias.isEmpty { result.bias[row] = old.bias[source] }
        }
        return result
    }

    /// The trained head beside an adapter, else among its saved tensors.
    ///
    /// - Throws: `data.missing` when it carries none that fits, naming what it carries.
    static func of(_ adapter: Adapter, classes: Int, width: Int) throws -> LinearHead {
        if let beside = adapter.head, beside.weight.shape == [classes, width] {
            return try head(beside.weight, bias: beside.bias, scale: 1, classes: classes, width: width, path: nil)
        }
        let candidates = adapter.saved.filter { $0.tensor.shape.count == 2 && $0.name.hasSuffix(".weight") }
        let fitting = candidates.filter { $0.tensor.shape == [classes, width] }
        guard let weight = fitting.first else {
            let beside = adapter.head.map { ["\(AdapterHead.fileName) \($0.weight.shape)"] } ?? []
            let found = (beside + candidates.map { "\($0.name) \($0.tensor.shape)" }).joined(separator: ", ")
            throw Failure(
                .dataMissing, "the adapter carries no head of \(classes) classes on \(width) features",
                place: "head.from",
                hint: found.isEmpty
                    ? "merges carry none; put \(AdapterHead.fileName) beside it, train it with modules_to_save, or name a head "
                        + "file in the suite" : "it carries \(found)")
        }
        let bias = adapter.saved.first { $0.name == weight.name.dropLast("weight".count) + "bias" }
        return try head(weight.tensor, bias: bias?.tensor, scale: 1, classes: classes, width: width, path: nil)
    }

    private static func head(
        _ weight: TensorView, bias: TensorView?, scale: Float, classes: Int, width: Int, path: String?
    ) throws -> LinearHead {
        func mismatch(_ tensor: TensorView, _ expected: [Int]) -> Failure {
            Failure(
                .backboneShapeMismatch,
                "the head's shape is \(tensor.shape), the suite needs \(expected): one row per class of the data",
                path: path, place: tensor.name,
                details: ["expected": "\(expected)", "found": "\(tensor.shape)"])
        }
        guard weight.shape == [classes, width] else { throw mismatch(weight, [classes, width]) }
        if let bias, bias.shape != [classes] { throw mismatch(bias, [classes]) }
        return LinearHead(
            weight: try weight.floatMatrix(rows: classes, columns: width),
            bias: try bias.map { try $0.floatMatrix(rows: 1, columns: classes).elements } ?? [], scale: scale)
    }
}

/// Fits a head on features that arrive in pieces.
struct HeadFitting {
    private let head: Suite.FittedHead
    private let samples: LabelledSamples
    private let classes: Int
    private let width: Int
    private var means: NearestMean
    private var discriminant: LinearDiscriminant?
    /// Ridge only: all features by position.
    private var features: Matrix<Float>

    init(_ head: Suite.FittedHead, samples: LabelledSamples, classes: Int, width: Int) {
        self.head = head
        self.samples = samples
        self.classes = classes
        self.width = width
        means = NearestMean(width: width, classCount: classes)
        discriminant = head.kind == .lda ? LinearDiscriminant(width: width, classCount: classes) : nil
        features = Matrix(rows: head.kind == .ridge ? samples.count : 0, columns: width)
    }

    mutating func add(_ piece: Matrix<Float>, positions: [Int]) throws {
        let labels = positions.map { samples.labels[$0] }
        switch head.kind {
        case .ncm: means.add(piece, labels: labels)
        case .lda: try discriminant?.add(piece, labels: labels)
        case .ridge:
            for (row, position) in positions.enumerated() {
                features.elements.replaceSubrange(
                    position * width..<(position + 1) * width,
                    with: piece.elements[row * width..<(row + 1) * width])
            }
        }
    }

    /// - Throws: `numeric.no_convergence`, `data.too_few`.
    func solved() throws -> any ClassHead {
        switch head.kind {
        case .ncm: return means.head(scale: head.scale)
        case .lda:
            guard let discriminant else { throw Failure(.internalDefect, "no discriminant was made") }
            return try discriminant.head(shrinkage: head.shrinkage)
        case .ridge: return try ridge()
        }
    }

    /// λ from a held-out fifth of each class, then the solution on everything.
    private func ridge() throws -> any ClassHead {
        var model = RandomFeatureRidge(width: width, classCount: classes, hidden: head.hidden, seed: head.seed)
        var lambda = head.lambda
        if lambda == nil {
            let parts = StratifiedSplit.holdOut(
                from: samples, classes: classes, fraction: 0.2, minimum: 1, seed: head.seed)
            let place = Dictionary(uniqueKeysWithValues: samples.sourceIndices.enumerated().map { ($1, $0) })
            func rows(_ part: LabelledSamples) -> (features: Matrix<Float>, labels: [Int]) {
                let elements = part.sourceIndices.flatMap { index -> ArraySlice<Float> in
                    let row = place[index] ?? 0
                    return features.elements[row * width..<(row + 1) * width]
                }
                return (Matrix(rows: part.count, columns: width, elements: elements), part.labels)
            }
            lambda = try model.chosenLambda(fit: rows(parts.train.samples), held: rows(parts.validation.samples))
        }
        try model.add(features, labels: samples.labels)
        // λ was chosen on a part; all samples together need at least what their rounding asks for.
        if head.lambda == nil { lambda = lambda.map { max($0, model.smallestLambda) } }
        return try model.head(lambda: lambda ?? 1)
    }
}
