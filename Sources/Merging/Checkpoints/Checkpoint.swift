import Adapters
import Diagnostics
import Foundation
import Tensors
import WeightFiles

/// Full weights of a model: one safetensors file, or shards with an index. Tensors lie in mapped files.
public struct Checkpoint: Sendable {
    /// Last path component without extension.
    public var name: String
    /// The folder or file.
    public var path: String
    public var weights: any WeightSet
    /// Where `config.json` and the tokenizer are; nil for a lone file.
    public var folder: String?

    public init(name: String, path: String, weights: any WeightSet, folder: String? = nil) {
        self.name = name
        self.path = path
        self.weights = weights
        self.folder = folder
    }

    /// Opens what stands at `path`: a file `NAME.safetensors` or `NAME.safetensors.index.json`, or a folder with
    /// `model.safetensors`, an index with shards, or one safetensors file of any name.
    ///
    /// - Returns: nil when there are no full weights: nothing there, an adapter, another kind of file.
    /// - Throws: `safetensors.*`, `shard.*`, `path.*`, `io.*` for weights that cannot be read, `pickle.refused` for a
    ///   folder with pickled weights only, `reference.ambiguous` for several files without an index.
    public static func open(path: String) throws -> Checkpoint? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return nil }
        return isFolder.boolValue ? try open(folder: path) : try open(file: path)
    }

    /// Opens weights that must be there.
    ///
    /// - Throws: as `open(path:)`; `io.not_found` when nothing is there, `reference.not_found` for anything else.
    public static func require(path: String) throws -> Checkpoint {
        if let checkpoint = try open(path: path) { return checkpoint }
        guard FileManager.default.fileExists(atPath: path) else {
            throw Failure(.ioNotFound, "no such file or folder", path: path)
        }
        throw Failure(
            .referenceNotFound, "there are no full weights", path: path,
            hint: "a model is a folder with model.safetensors (or shards and their index), or a .safetensors file")
    }

    /// The tensor of this name, nil when there is none.
    public func view(_ name: String) -> TensorView? { weights.view(name) }

    // MARK: Finding the files

    private static func open(file path: String) throws -> Checkpoint? {
        if path.hasSuffix(indexEnding) {
            let (folder, name) = split(path)
            let weights = try ShardedWeights(index: name, in: FolderSource(path: folder, followLinks: true))
            return Checkpoint(name: shortName(path), path: path, weights: weights, folder: folder)
        }
        guard path.hasSuffix(".safetensors") else { return nil }
        let weights = try SafetensorsFile(path: path)
        return holdsAdapter(weights) ? nil : Checkpoint(name: shortName(path), path: path, weights: weights)
    }

    private static func open(folder path: String) throws -> Checkpoint? {
        guard !AdapterLocation.isAdapterFolder(path) else { return nil }
        let source = FolderSource(path: path, followLinks: true)
        let names = try source.fileNames().filter { !$0.hasPrefix(".") }
        func checkpoint(_ weights: any WeightSet) -> Checkpoint {
            Checkpoint(name: shortName(path), path: path, weights: weights, folder: path)
        }
        if let weights = try WeightFolder.open("model", in: source) { return checkpoint(weights) }
        let indices = names.filter { $0.hasSuffix(indexEnding) }
        if indices.count == 1 { return checkpoint(try ShardedWeights(index: indices[0], in: source)) }
        let files = names.filter { $0.hasSuffix(".safetensors") }
        if files.count == 1, indices.isEmpty {
            let weights = try SafetensorsFile(try source.open(files[0]))
            return holdsAdapter(weights) ? nil : checkpoint(weights)
        }
        if files.count > 1 || indices.count > 1 {
            throw Failure(
                .referenceAmbiguous, "the folder holds several weight files and none is called model.safetensors",
                path: path, hint: "name the file, or put the index beside the shards")
        }
        if let pickle = names.first(where: { $0.hasPrefix("pytorch_model") && $0.hasSuffix(".bin") }) {
            throw FileKind.pickleRefusal(path: path + "/" + pickle)
        }
        return nil
    }

    private static let indexEnding = ".safetensors.index.json"

    /// Keys that low-rank adapters of every kind have and weights of models have not.
    private static func holdsAdapter(_ weights: any WeightSet) -> Bool {
        let marks = [
            ".lora_A", ".lora_B", ".lora_a", ".lora_b", "lora_embedding_", "lora_up.", "lora_down.", ".hada_w",
            ".lokr_w",
            "lora_magnitude_vector",
        ]
        return weights.names.contains { name in marks.contains { name.contains($0) } }
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    private static func shortName(_ path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        for ending in [indexEnding, ".safetensors"] where last.hasSuffix(ending) && last.count > ending.count {
            return String(last.dropLast(ending.count))
        }
        return last
    }
}

extension Checkpoint {
    /// Two paths to the same file or folder.
    func isSame(as other: Checkpoint) -> Bool {
        let resolve = { (path: String) in URL(fileURLWithPath: path).resolvingSymlinksInPath().standardizedFileURL.path
        }
        return resolve(path) == resolve(other.path)
    }

    /// As an operand of a plan: an adapter without modules that carries name, reference and digests.
    func operand(reference: String) -> NamedAdapter {
        let adapter = Adapter(
            modules: [], saved: [], base: BaseIdentity(name: ""), format: Checkpoint.format, configuration: .null,
            findings: weights.findings)
        return NamedAdapter(name: name, version: nil, object: nil, reference: reference, adapter: adapter)
    }

    /// `Adapter.format` of the operands that are checkpoints.
    static let format = "checkpoint"
}
