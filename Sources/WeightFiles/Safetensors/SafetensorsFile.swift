import Diagnostics
import Tensors

/// A safetensors file, checked completely before any tensor can be seen (`docs/formats.md`).
///
/// ```swift
/// let file = try SafetensorsFile(path: "adapter_model.safetensors")
/// for tensor in file.tensors { print(tensor.name, tensor.dtype, tensor.shape) }
/// ```
/// The file stays mapped; tensors point into it and may begin at any alignment. Nothing is allocated by a size that
/// the file declares. An empty list of tensors is valid here.
public struct SafetensorsFile: WeightSet {
    public let tensors: [TensorView]
    public let metadata: [String: String]
    public let findings: [Finding]
    public let content: MappedBytes
    /// The data buffer: everything behind the header, as a range of `content.bytes`.
    public let dataRange: Range<Int>
    private let index: [String: Int]

    /// Maps and checks the file at `path`.
    ///
    /// - Parameter followLinks: whether the file may be a symbolic link.
    /// - Throws: `safetensors.*`, `file.*`, and what `MappedFile` throws.
    public init(path: String, followLinks: Bool = true) throws {
        try self.init(try MappedBytes(path: path, followLinks: followLinks))
    }

    /// Checks a file that is already in memory, e.g. a member of the bank's archive.
    public init(_ content: MappedBytes) throws {
        let header = try content.withBytes { try SafetensorsHeader($0, path: content.path) }
        let bytes = content.bytes
        self.content = content
        dataRange = header.dataStart..<bytes.count
        metadata = header.metadata
        findings = header.findings
        var views: [TensorView] = []
        var index: [String: Int] = [:]
        views.reserveCapacity(header.entries.count)
        index.reserveCapacity(header.entries.count)
        for entry in header.entries {
            index[entry.name] = views.count
            let range = header.dataStart + entry.begin..<header.dataStart + entry.end
            views.append(
                TensorView(
                    name: entry.name, dtype: entry.dtype, shape: entry.shape,
                    bytes: UnsafeRawBufferPointer(rebasing: bytes[range]), owner: content.file))
        }
        tensors = views
        self.index = index
    }

    public func view(_ name: String) -> TensorView? { index[name].map { tensors[$0] } }

    public var files: [(name: String, content: MappedBytes)] { [(PathParts(content.path).name, content)] }
}
