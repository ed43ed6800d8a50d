import Digests
import WeightFiles

extension RecipePlan {
    /// The plan with the SHA-256 of every file of full weights that takes part (operands, bases), for the provenance. Reads all of them
    /// once, several files at a time.
    public func withCheckpointDigests(threads: Int) throws -> RecipePlan {
        var files: [String: MappedBytes] = [:]
        for stage in stages {
            let operands = stage.checkpoint.map { Array($0.operands.values) } ?? []
            for weights in ([stage.checkpoint?.base, stage.decompositionBase].compactMap { $0 } + operands) {
                for file in weights.weights.files { files[file.content.path] = file.content }
            }
        }
        guard !files.isEmpty else { return self }
        let sorted = files.sorted { $0.key < $1.key }
        let digests = OrderedResults<(path: String, digest: SHA256Digest)>(count: sorted.count)
        try Workers(threads: threads, isCancelled: { false }).run(sorted.count) { index in
            digests.set((sorted[index].key, sorted[index].value.digest()), at: index)
        }
        let known = Dictionary(uniqueKeysWithValues: digests.all.map { ($0.path, $0.digest) })
        func named(_ checkpoint: Checkpoint) -> [String: SHA256Digest] {
            Dictionary(
                checkpoint.weights.files.compactMap { file in known[file.content.path].map { (file.name, $0) } }
            ) { first, _ in first }
        }
        var copy = self
        for index in copy.stages.indices {
            copy.stages[index].decompositionDigests = copy.stages[index].decompositionBase.map(named) ?? [:]
            guard let checkpoint = copy.stages[index].checkpoint else { continue }
            for (operand, weights) in checkpoint.operands {
                copy.stages[index].operands[operand].adapter.fileDigests = named(weights)
            }
            copy.stages[index].checkpoint?.baseDigests = checkpoint.base.map(named) ?? [:]
        }
        return copy
    }
}
