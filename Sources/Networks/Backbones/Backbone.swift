import Diagnostics
import Synchronization
import Tensors
import WeightFiles

/// A network with frozen weights that carries adapters.
///
/// ```swift
/// let backbone = try Backbone<Float>(folder: "models/minilm")
/// let features = try backbone.features(.tokens(TokenBatch(sentences)), pooling: .mean)
/// ```
/// Any number of passes may run at the same time on one backbone as long as nobody changes its weights.
///
/// ## Topics
/// - Loading: ``init(folder:)``, ``init(configuration:)``
/// - Running: ``features(_:pooling:mix:coefficients:threads:)``, ``hiddenStates(_:mix:coefficients:threads:)``,
///   ``prefix(of:through:threads:)``
/// - Learning: ``forward(_:output:mix:coefficients:learning:threads:)``, ``step(_:pooling:mix:coefficients:learning:into:threads:loss:)``
public final class Backbone<S: NetworkScalar>: @unchecked Sendable {
    public let description: BackboneDescription
    public let parameters: ParameterStore<S>
    /// The configuration file's content.
    public let configuration: JSONValue
    /// What the linears multiply. To be changed while no pass runs.
    public var precision = Precision.float32 {
        didSet { if precision != oldValue { precisionChanged() } }
    }
    /// Whether recorded passes keep the inputs of the layers alone and form what backward needs of a layer again when
    /// its turn comes: a third more work for much less memory, and the same bits. To be changed while no pass runs.
    public var usesGradientCheckpointing = false
    let family: any BackboneFamily
    let parts: BackboneParts<S>
    let workspaces = WorkspacePool<S>()
    private let headIsPacked = Mutex(false)

    /// Loads `config.json` and `model.safetensors` (or its shards) from a folder, converted to the element type.
    ///
    /// - Throws: `config.*`, `config.feature_unsupported` naming what is not implemented, `backbone.missing_tensor`,
    ///   `backbone.unexpected_tensor`, `backbone.shape_mismatch`, and what reading the files throws.
    public convenience init(folder: String, precision: Precision = .float32) throws {
        let source = FolderSource(path: folder, followLinks: true)
        let configuration = try Self.readConfiguration(source, folder: folder)
        guard let weights = try WeightFolder.open("model", in: source) else {
            throw Failure(
                .ioNotFound, "no model.safetensors and no model.safetensors.index.json", path: folder,
                hint: "a backbone folder holds config.json and model.safetensors")
        }
        try self.init(configuration: configuration, weights: weights, path: folder, precision: precision)
    }

    /// A backbone from weights that are already open.
    public convenience init(
        configuration: JSONValue, weights: any WeightSet, path: String, precision: Precision = .float32
    ) throws {
        let reader = ConfigurationReader(json: configuration, path: path)
        let shapes = Dictionary(weights.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
        let family = try BackboneFamilies.family(for: reader).init(reader, tensors: shapes)
        self.init(family: family, configuration: configuration)
        try family.load(weights, into: parameters, path: path)
        for layer in parts.layers { for linear in layer.linears { linear.precision = precision } }
        self.precision = precision
        weightsChanged()
    }

    /// A backbone of these shapes whose weights are all zero, for pre-training.
    public convenience init(configuration: JSONValue, path: String = "config.json") throws {
        let reader = ConfigurationReader(json: configuration, path: path)
        let family = try BackboneFamilies.family(for: reader).init(reader, tensors: nil)
        self.init(family: family, configuration: configuration)
        weightsChanged()
    }

    private init(family: any BackboneFamily, configuration: JSONValue) {
        self.family = family
        self.configuration = configuration
        description = family.description
        parameters = ParameterStore(entries: family.layout.entries, count: family.layout.count)
        parts = family.assemble(parameters)
    }

    private static func readConfiguration(_ source: FolderSource, folder: String) throws -> JSONValue {
        guard source.contains("config.json") else {
            throw Failure(
                .configMissing, "no config.json", path: folder,
                hint: "a backbone folder holds config.json and model.safetensors")
        }
        let file = try source.open("config.json")
        return try withExtendedLifetime(file) {
            try StrictJSON.parse(file.bytes, .configuration, path: folder + "/config.json")
        }
    }

    /// The tensors of a checkpoint and where they stand in the parameters, in the spelling that was loaded.
    public var checkpointTensors: [TensorSource] { family.sources }

    private func precisionChanged() {
        for layer in parts.layers {
            for linear in layer.linears where linear.precision != precision {
                linear.precision = precision
                linear.refresh()
            }
        }
    }

    /// Bytes of activations that backward reads: the most that one block of samples has needed so far. Every thread of
    /// a step holds one block at a time, a recorded pass all blocks of its batch.
    public var activationBytes: Int { workspaces.largestTape }

    /// Must be called after the weights were written to, before the next pass.
    public func weightsChanged() {
        parts.embedding.refresh()
        for layer in parts.layers { layer.refresh() }
        parts.pooler?.refresh()
        headIsPacked.withLock { $0 = false }
    }

    /// The language head, packed when it is first wanted: it is often the largest matrix.
    ///
    /// - Throws: `config.feature_unsupported` when there is none.
    func languageHead() throws -> Linear<S> {
        guard let head = parts.languageHead else {
            throw Failure(
                .configFeatureUnsupported, "a \(description.modelType) backbone of this checkpoint has no language head"
            )
        }
        headIsPacked.withLock { packed in
            if !packed { head.refresh() }
            packed = true
        }
        return head
    }

    /// A copy with `delta` [outputs, inputs] (in the layout of the checkpoint) added to the weights at some sites:
    /// how a dense merge is evaluated.
    ///
    /// - Throws: `backbone.adapter_mismatch` for an unknown site or another shape.
    public func adding(_ deltas: [SiteID: Matrix<S>]) throws -> Backbone {
        let copy = Backbone(family: family, configuration: configuration)
        for layer in copy.parts.layers { for linear in layer.linears { linear.precision = precision } }
        copy.precision = precision
        copy.usesGradientCheckpointing = usesGradientCheckpointing
        _ = copy.parameters.values.update(fromContentsOf: parameters.values)
        for (site, delta) in deltas {
            let shape = try description.shape(of: site)
            guard delta.rows == shape.outputs, delta.columns == shape.inputs else {
                throw Failure(
                    .backboneAdapterMismatch,
                    "a change of shape \(delta.rows)×\(delta.columns) for a \(shape.outputs)×\(shape.inputs) matrix",
                    place: "\(site)")
            }
            let linear = copy.parts.layers[site.layer].linears[shape.group]
            let target = copy.parameters.pointer(linear.weight + shape.span.lowerBound * shape.inputs)
            delta.elements.withUnsafeBufferPointer {
                if let base = $0.baseAddress { addInto($0.count, base, target) }
            }
        }
        copy.weightsChanged()
        return copy
    }

    func prepareBackward(from layer: Int) {
        for layer in parts.layers[layer...] {
            for linear in layer.linears { linear.prepareBackward() }
        }
        parts.pooler?.prepareBackward()
    }
}
