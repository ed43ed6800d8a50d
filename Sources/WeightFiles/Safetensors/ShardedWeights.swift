import Diagnostics
import Tensors

/// A checkpoint in several safetensors files, joined by an index `NAME.safetensors.index.json`.
///
/// Every listed tensor is in the file the index names for it, every tensor of these files is listed, and all names of
/// files are plain: this is checked before anything can be seen.
public struct ShardedWeights: WeightSet {
    /// The files in the order of their names.
    public let shards: [(name: String, file: SafetensorsFile)]
    public let tensors: [TensorView]
    public let findings: [Finding]
    private let index: [String: Int]

    /// Opens all files of an index.
    ///
    /// - Parameter name: the index's file name in `source`.
    /// - Throws: `shard.bad_index`, `shard.path`, `shard.missing`, and what each file throws.
    public init(index name: String, in source: some FileSource) throws {
        let content = try source.open(name)
        let document = try StrictJSON.parse(content, .shardIndex)
        guard let map = document["weight_map"]?.members else {
            throw Failure(.shardBadIndex, "the index has no object weight_map", path: content.path)
        }
        let listed = try ShardedWeights.filesByTensor(map, path: content.path)
        shards = try ShardedWeights.open(Set(listed.values), in: source, index: content.path)
        tensors = shards.flatMap(\.file.tensors)
        index = try ShardedWeights.checkedIndex(shards, listed: listed, path: content.path)
        var findings = shards.flatMap(\.file.findings)
        if let finding = ShardedWeights.sizeFinding(document, tensors: tensors) { findings.append(finding) }
        self.findings = findings
    }

    public func view(_ name: String) -> TensorView? { index[name].map { tensors[$0] } }

    public var metadata: [String: String] { shards.first?.file.metadata ?? [:] }

    public var files: [(name: String, content: MappedBytes)] { shards.map { ($0.name, $0.file.content) } }

    private static func filesByTensor(_ map: [JSONValue.Member], path: String) throws -> [String: String] {
        var listed: [String: String] = [:]
        listed.reserveCapacity(map.count)
        for member in map {
            guard let file = member.value.string else {
                throw Failure(.shardBadIndex, "the file of a tensor is no string", path: path, place: member.key)
            }
            guard isPlain(file) else {
                throw Failure(
                    .shardPath, "'\(file)' is no plain file name", path: path, place: member.key,
                    hint: "shards stand beside the index; a path in it may be an attack")
            }
            listed[member.key] = file
        }
        return listed
    }

    /// No separators, no `..`, nothing that a terminal or file system could take for something else.
    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name != "." && !name.contains("..") && name.utf8.count <= 255
            && !name.unicodeScalars.contains { scalar in
                scalar == "/" || scalar == "\\" || scalar.properties.generalCategory == .control
            }
    }

    private static func open(
        _ names: Set<String>, in source: some FileSource, index path: String
    ) throws -> [(name: String, file: SafetensorsFile)] {
        let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        // Links are refused before a missing file is reported: what is unsafe comes first.
        let contents = try sorted.map { name -> MappedBytes? in
            do {
                return try source.open(name)
            } catch let failure as Failure where failure.code == .pathSymlink {
                throw Failure(.shardPath, "the shard '\(name)' is a symbolic link", path: path)
            } catch let failure as Failure where failure.code == .ioNotFound {
                return nil
            }
        }
        return try zip(sorted, contents).map { name, content in
            guard let content else {
                throw Failure(
                    .shardMissing, "the shard '\(name)' is missing", path: path,
                    hint: "fetch all files of the checkpoint")
            }
            return (name, try SafetensorsFile(content))
        }
    }

    private static func checkedIndex(
        _ shards: [(name: String, file: SafetensorsFile)], listed: [String: String], path: String
    ) throws -> [String: Int] {
        var index: [String: Int] = [:]
        index.reserveCapacity(listed.count)
        for shard in shards {
            for tensor in shard.file.tensors {
                guard listed[tensor.name] == shard.name else {
                    let claim = listed[tensor.name].map { "the index says it is in '\($0)'" } ?? "the index lacks it"
                    throw Failure(
                        .shardBadIndex, "the tensor is in '\(shard.name)', \(claim)", path: path, place: tensor.name)
                }
                index[tensor.name] = index.count
            }
        }
        if index.count < listed.count, let missing = listed.keys.filter({ index[$0] == nil }).min() {
            throw Failure(
                .shardBadIndex, "the tensor is not in '\(listed[missing] ?? "")', where the index says it is",
                path: path,
                place: missing)
        }
        return index
    }

    private static func sizeFinding(_ document: JSONValue, tensors: [TensorView]) -> Finding? {
        guard let claim = document["metadata"]?["total_size"] else { return nil }
        let size = tensors.reduce(0) { $0 + $1.bytes.count }
        guard claim.double != Double(size) else { return nil }
        return Finding(
            .shardTotalSize, .warning, place: "metadata.total_size", details: "the tensors have \(size) bytes together")
    }
}

/// Finds the weights called NAME among files: `NAME.safetensors`, else `NAME.safetensors.index.json` with its shards.
public enum WeightFolder {
    /// - Returns: nil when neither file is there.
    /// - Throws: what reading them throws.
    public static func open(_ name: String, in source: some FileSource) throws -> (any WeightSet)? {
        let single = name + ".safetensors"
        if source.contains(single) { return try SafetensorsFile(try source.open(single)) }
        let index = single + ".index.json"
        return source.contains(index) ? try ShardedWeights(index: index, in: source) : nil
    }
}
