import Digests
import Foundation
import Testing
import WeightFiles

@testable import Merging

/// SHA-256 of input files, made beside a merge.
@Suite struct CheckpointDigestsTests {
    /// A recipe over a base of two shards and two models of one file each, one of them read by two stages.
    private func plan(_ folder: String) throws -> RecipePlan {
        for (index, name) in ["base", "one", "two"].enumerated() {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            var random = SplitMix(UInt64(index + 1))
            let tensors = try ["a.weight", "b.weight"].map { key in
                try view(random.matrix(70, 60).values, [70, 60], .f32, key)
            }
            guard name == "base" else {
                try SafetensorsWriter.write(tensors, to: "\(folder)/\(name)/model.safetensors")
                continue
            }
            for (shard, tensor) in tensors.enumerated() {
                try SafetensorsWriter.write([tensor], to: "\(folder)/base/part-\(shard).safetensors")
            }
            let index =
                #"{"metadata":{},"weight_map":{"a.weight":"part-0.safetensors","b.weight":"part-1.safetensors"}}"#
            try Data(index.utf8).write(to: URL(filePath: "\(folder)/base/model.safetensors.index.json"))
        }
        let recipe = """
            stages:
              - { name: first, merge_method: linear, models: [./one, ./two] }
              - { name: last, merge_method: task_arithmetic, base_model: ./base, models: ["stage:first", ./one] }
            """
        return try RecipePlanner(library: TestLibrary(named: [])).plan(
            try RecipeReader().read(text: recipe, folder: folder))
    }

    private func inScratch(_ body: (RecipePlan, String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "digests-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(try plan(folder), folder)
    }

    @Test(arguments: [1, 2, 8]) func `every file gets the digest of its bytes`(_ threads: Int) throws {
        try inScratch { plan, folder in
            let digests = CheckpointDigests(of: plan, threads: threads)
            defer { digests.stop() }
            let filled = try digests.entered(into: plan)
            func digest(_ name: String) throws -> SHA256Digest {
                SHA256Digest.of([UInt8](try #require(FileManager.default.contents(atPath: "\(folder)/\(name)"))))
            }
            let shards = ["part-0.safetensors", "part-1.safetensors"]
            let base = try #require(filled.result.checkpoint).baseDigests
            #expect(try base == Dictionary(uniqueKeysWithValues: shards.map { ($0, try digest("base/" + $0)) }))
            let first = filled.stages[0].operands.map(\.adapter.fileDigests)
            #expect(
                try first == ["one", "two"].map { ["model.safetensors": try digest("\($0)/model.safetensors")] })
            #expect(filled.result.operands.map(\.adapter.fileDigests)[1] == first[0])
        }
    }

    @Test func `digests that are stopped are not waited for`() throws {
        try inScratch { plan, _ in
            for threads in [1, 4] {
                let digests = CheckpointDigests(of: plan, threads: threads, isCancelled: { true })
                #expect(throws: CancellationError.self) { try digests.entered(into: plan) }
                digests.stop()
                digests.stop()
            }
        }
    }
}
