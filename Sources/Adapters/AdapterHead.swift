import Diagnostics
import Tensors
import WeightFiles

/// A linear classifier that stands beside an adapter: `head.safetensors` in its folder or object, in the form of the head
/// files that suites name.
///
/// It is stored, exported and found with the adapter, and it is no part of the update: merges do not look at it, and the
/// adapter's delta id does not depend on it. A head that *is* part of the update stands in `modules_to_save` instead
/// (``Adapter/saved``).
public struct AdapterHead: Sendable {
    public static let fileName = "head.safetensors"

    /// [classes, width], rows in the class order of the data.
    public var weight: TensorView
    /// [classes].
    public var bias: TensorView?

    public init(weight: TensorView, bias: TensorView? = nil) {
        self.weight = Self.named("weight", weight)
        self.bias = bias.map { Self.named("bias", $0) }
    }

    private static func named(_ name: String, _ tensor: TensorView) -> TensorView {
        TensorView(name: name, dtype: tensor.dtype, shape: tensor.shape, bytes: tensor.bytes, owner: tensor.owner)
    }

    /// The head in a folder; nil when it has none, or a file of this name that means something else.
    ///
    /// - Throws: `safetensors.*` and the like for a file that cannot be read.
    static func read(from source: some FileSource) throws -> AdapterHead? {
        guard source.contains(fileName) else { return nil }
        let content = try source.open(fileName)
        do {
            let file = try SafetensorsFile(content)
            guard let weight = file.view("weight"), weight.shape.count == 2 else { return nil }
            return AdapterHead(weight: weight, bias: file.view("bias"))
        } catch let failure as Failure {
            throw failure.at(path: content.path)
        }
    }

    /// Writes `head.safetensors` into a folder that exists.
    func write(into folder: String) throws {
        try SafetensorsWriter.write(
            [bias, weight].compactMap { $0 }, metadata: PEFTWriter.metadata, to: folder + "/" + Self.fileName)
    }
}
