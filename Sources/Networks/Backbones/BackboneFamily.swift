import Diagnostics
import WeightFiles

/// A tensor of a checkpoint and its place in the parameter store.
public struct TensorSource: Sendable, Hashable {
    /// Name in the file.
    public let name: String
    public let shape: [Int]
    public let offset: Int

    public var count: Int { shape.reduce(1, *) }
}

/// The running parts of a backbone, made from a family's shapes and a store.
struct BackboneParts<S: NetworkScalar> {
    let embedding: any InputEmbedding<S>
    let layers: [any NetworkLayer<S>]
    let finalNorm: Normalisation<S>?
    /// First row that mean pooling counts.
    var meanStart = 0
    var pooler: Linear<S>?
    var languageHead: Linear<S>?
    /// Gradients of the backbone's own weights are implemented.
    var learnsParameters = false
    /// Rows that a block of samples should have; whole samples are taken up to this.
    var targetRows = 160
}

/// A kind of backbone: how its configuration reads, what its tensors are called, how it is put together. A new family
/// is one file with a type of this protocol and its entry in ``BackboneFamilies``.
protocol BackboneFamily: Sendable {
    /// True when this family understands the configuration.
    static func accepts(_ configuration: ConfigurationReader) -> Bool
    /// Reads the shapes; the tensors present decide between spellings of names.
    ///
    /// - Parameter tensors: nil for a new backbone without weights: the first spelling is taken.
    /// - Throws: `config.*`, `config.feature_unsupported` naming what is not implemented.
    init(_ configuration: ConfigurationReader, tensors: [String: [Int]]?) throws

    var description: BackboneDescription { get }
    var layout: ParameterLayout { get }
    /// Every tensor that must be in the file.
    var sources: [TensorSource] { get }
    /// Tensors that may be in the file and are not part of the backbone (heads, buffers).
    func ignores(_ tensor: String) -> Bool
    func assemble<S: NetworkScalar>(_ parameters: ParameterStore<S>) -> BackboneParts<S>
}

enum BackboneFamilies {
    static let all: [any BackboneFamily.Type] = [ViT.self, BERT.self, Llama.self, Mamba.self]

    static func family(for configuration: ConfigurationReader) throws -> any BackboneFamily.Type {
        if let family = all.first(where: { $0.accepts(configuration) }) { return family }
        let name =
            configuration.modelType.isEmpty
            ? configuration["architecture"]?.string ?? "without model_type" : configuration.modelType
        throw Failure(
            .configUnsupportedType, "backbones of type '\(name)' are not implemented", path: configuration.path,
            place: "model_type",
            hint: "implemented: vit, timm vit, bert, roberta, llama, mistral, qwen2, qwen3, mamba, falcon_mamba")
    }
}

extension BackboneFamily {
    /// Fills the store from a checkpoint.
    ///
    /// - Throws: `backbone.missing_tensor`, `backbone.unexpected_tensor`, `backbone.shape_mismatch`,
    ///   `adapter.bad_dtype`.
    func load<S: NetworkScalar>(_ weights: any WeightSet, into store: ParameterStore<S>, path: String) throws {
        let missing = sources.filter { weights.view($0.name) == nil }
        if let first = missing.first {
            throw Failure(
                .backboneMissingTensor,
                "\(missing.count) of \(sources.count) tensors are missing: "
                    + Self.listing(missing.map(\.name)), path: path, place: first.name)
        }
        let known = Set(sources.map(\.name))
        let unexpected = weights.names.filter { !known.contains($0) && !ignores($0) }
        if let first = unexpected.first {
            throw Failure(
                .backboneUnexpectedTensor,
                "the file holds tensors that a \(description.modelType) backbone of this configuration does not have: "
                    + Self.listing(unexpected), path: path, place: first)
        }
        for source in sources {
            guard let view = weights.view(source.name) else { continue }
            guard view.shape == source.shape else {
                throw Failure(
                    .backboneShapeMismatch, "shape \(view.shape), the configuration says \(source.shape)", path: path,
                    place: source.name,
                    details: ["expected": "\(source.shape)", "found": "\(view.shape)"])
            }
            let target = UnsafeMutableBufferPointer(
                rebasing: store.values[source.offset..<source.offset + source.count])
            do { try S.copy(view, into: target) } catch let failure as Failure { throw failure.at(path: path) }
        }
    }

    private static func listing(_ names: [String]) -> String {
        names.prefix(5).map { "'\($0)'" }.joined(separator: ", ") + (names.count > 5 ? ", …" : "")
    }
}
