import Diagnostics
import Digests
import Tensors

/// Named tensors that were read from one or several files. Nothing is copied: the tensors lie in mapped files.
///
/// `SafetensorsFile` and `ShardedWeights` are the two kinds. Both were fully checked when they were made, so nothing
/// here can fail.
public protocol WeightSet: Sendable {
    /// Every tensor. In one file in the order of their data; shards one after another in the order of their names.
    var tensors: [TensorView] { get }

    /// The tensor of this name, nil when there is none. Constant time.
    func view(_ name: String) -> TensorView?

    /// The string map `__metadata__`; for shards that of the index's first shard. Sorted by key.
    var metadata: [String: String] { get }

    /// What reading noticed and did not refuse.
    var findings: [Finding] { get }

    /// The files, as they lie in memory, by plain name.
    var files: [(name: String, content: MappedBytes)] { get }
}

extension WeightSet {
    /// Names of all tensors in the order of `tensors`.
    public var names: [String] { tensors.map(\.name) }

    /// SHA-256 of each file by plain name. Reads every byte.
    public func digests() -> [String: SHA256Digest] {
        Dictionary(files.map { ($0.name, $0.content.digest()) }) { first, _ in first }
    }

    /// Bytes of all tensors together.
    public var byteCount: Int { tensors.reduce(0) { $0 + $1.bytes.count } }
}
