import Digests
import Foundation
import Synchronization
import WeightFiles

/// SHA-256 of the files of full weights that a recipe reads (operands, bases), made for the provenance while the merge
/// runs.
///
/// One hash takes its file in order and cannot be shared by threads: hashing after the merge would leave all cores but
/// one idle. The files stay mapped, and their pages are given back as the hashes pass over them.
///
/// ```swift
/// let digests = CheckpointDigests(of: plan, threads: 4)
/// defer { digests.stop() }
/// // … merge …
/// let provenance = Provenance(plan: try digests.entered(into: plan), …)
/// ```
public final class CheckpointDigests: Sendable {
    /// Each file once.
    private let files: [MappedBytes]
    private let threads: Int
    private let isCancelled: @Sendable () -> Bool
    private let results: OrderedResults<(path: String, digest: SHA256Digest)>
    private let isStopped = Atomic<Bool>(false)
    private let next = Atomic<Int>(0)
    private let running = DispatchGroup()

    /// Begins to hash on threads of its own. With one thread in all, nothing happens before the digests are asked for.
    ///
    /// - Parameters:
    ///   - threads: of the whole program; at most as many files are hashed at a time.
    ///   - isCancelled: asked after every few MiB.
    public init(
        of plan: RecipePlan, threads: Int, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        var files: [String: MappedBytes] = [:]
        for stage in plan.stages {
            let operands = stage.checkpoint.map { Array($0.operands.values) } ?? []
            for weights in ([stage.checkpoint?.base, stage.decompositionBase].compactMap { $0 } + operands) {
                for file in weights.weights.files { files[file.content.path] = file.content }
            }
        }
        // The largest first: the last one to end should be short.
        self.files = files.values.sorted { ($1.count, $0.path) < ($0.count, $1.path) }
        self.threads = max(1, min(threads, files.count))
        self.isCancelled = isCancelled
        results = OrderedResults(count: files.count)
        if threads > 1 { start() }
    }

    /// The plan with the digests of its files; waits for those that are missing.
    ///
    /// - Throws: `CancellationError`.
    public func entered(into plan: RecipePlan) throws -> RecipePlan {
        hash()
        running.wait()
        let all = results.all
        guard all.count == files.count else { throw CancellationError() }
        let known = Dictionary(all.map { ($0.path, $0.digest) }) { first, _ in first }
        func named(_ checkpoint: Checkpoint) -> [String: SHA256Digest] {
            Dictionary(
                checkpoint.weights.files.compactMap { file in known[file.content.path].map { (file.name, $0) } }
            ) { first, _ in first }
        }
        var copy = plan
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

    /// Ends the work on digests that nobody will ask for, and returns when no thread is left.
    public func stop() {
        isStopped.store(true, ordering: .relaxed)
        running.wait()
    }

    // MARK: Hashing

    private func start() {
        for _ in 0..<min(threads, files.count) {
            running.enter()
            // Not from the pool that the merge takes its threads from: hashing would keep them for the whole time.
            let thread = Thread { [self] in
                hash()
                running.leave()
            }
            thread.start()
        }
    }

    /// Hashes files that nobody has taken yet until none is left.
    private func hash() {
        while true {
            let index = next.add(1, ordering: .relaxed).oldValue
            guard index < files.count, let digest = files[index].digest(unless: { [self] in isEnding }) else { return }
            results.set((files[index].path, digest), at: index)
        }
    }

    private var isEnding: Bool { isStopped.load(ordering: .relaxed) || isCancelled() }
}
