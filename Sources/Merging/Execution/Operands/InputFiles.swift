import Adapters
import Diagnostics
import Synchronization
import Tensors
import WeightFiles

/// Weight files that parameters of methods name (masks, Fisher information, input Gram matrices), opened once each.
public final class InputFiles: Sendable {
    private let opened = Mutex<[String: SafetensorsFile]>([:])

    public init() {}

    /// The tensor of that name; nil when the file has none.
    ///
    /// - Throws: `io.not_found`, `safetensors.*`.
    func tensor(_ name: String, in path: String) throws -> TensorView? {
        try file(path).view(name)
    }

    /// The tensor of that name with exactly this number of entries, all of them finite.
    ///
    /// - Throws: `data.missing` when the file has none, `merge.shape_mismatch`, `merge.non_finite`, `io.*`.
    func required(_ name: String, shape: [Int], in path: String) throws -> TensorView {
        guard let tensor = try tensor(name, in: path) else {
            throw Failure(.dataMissing, "the file has no tensor '\(name)'", path: path)
        }
        guard tensor.shape == shape else {
            throw Failure(
                .mergeShapeMismatch, "'\(name)' is \(tensor.shape), needed is \(shape)", path: path,
                details: ["expected": "\(shape)", "found": "\(tensor.shape)"])
        }
        guard try tensor.statistics().allFinite else {
            throw Failure(.mergeNonFinite, "'\(name)' holds NaN or infinite entries", path: path)
        }
        return tensor
    }

    private func file(_ path: String) throws -> SafetensorsFile {
        try opened.withLock { files in
            if let file = files[path] { return file }
            let file = try SafetensorsFile(path: path)
            files[path] = file
            return file
        }
    }
}

/// Content identities of the adapters of a stage, found when they are first needed: hashing reads all factors.
final class OperandIdentities: Sendable {
    private let adapters: [Adapter]
    private let known: Mutex<[Int: String]> = Mutex([:])

    init(_ adapters: [Adapter]) { self.adapters = adapters }

    @Sendable func identity(_ index: Int) -> String {
        known.withLock { known in
            if let identity = known[index] { return identity }
            let identity = adapters[index].deltaID().hex
            known[index] = identity
            return identity
        }
    }
}
