import Diagnostics
import Foundation
import Tensors
import Testing

@testable import WeightFiles

@Suite struct ShardedWeightsTests {
    private typealias S = SafetensorsBytes
    private let index = "model.safetensors.index.json"

    /// Two shards with tensors a, b and c of 16 bytes each.
    private func folder(_ map: [String: String], size: String? = "48") throws -> Scratch {
        let scratch = try Scratch()
        let first = "{\(S.entry("a")),\(S.entry("b", "F32", "[4]", "16", "32"))}"
        try scratch.write(S.file(first, data: S.zeros(32)), as: "model-00001-of-00002.safetensors")
        try scratch.write(
            S.file("{\(S.entry("c"))}", data: [UInt8](repeating: 3, count: 16)), as: "model-00002-of-00002.safetensors")
        let pairs = map.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
        let metadata = size.map { "\"metadata\":{\"total_size\":\($0)}," } ?? ""
        try scratch.write(Array("{\(metadata)\"weight_map\":{\(pairs)}}".utf8), as: index)
        return scratch
    }

    private let good = [
        "a": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors",
        "c": "model-00002-of-00002.safetensors",
    ]

    private func refusal(_ map: [String: String]) throws -> String? {
        let scratch = try folder(map)
        return code { _ = try ShardedWeights(index: index, in: FolderSource(path: scratch.path)) }
    }

    @Test func `shards look like one file`() throws {
        let scratch = try folder(good)
        let weights = try ShardedWeights(index: index, in: FolderSource(path: scratch.path))
        #expect(weights.names == ["a", "b", "c"])
        #expect(weights.view("c").map { Array($0.bytes) } == [UInt8](repeating: 3, count: 16))
        #expect(weights.view("d") == nil)
        #expect(weights.findings.isEmpty)
        #expect(weights.byteCount == 48)
        #expect(weights.digests().count == 2)
    }

    @Test func `a wrong or missing total is a finding or nothing`() throws {
        for (size, expected) in [("49", ["shard.total_size"]), ("48.0", []), (nil, [])] as [(String?, [String])] {
            let scratch = try folder(good, size: size)
            let weights = try ShardedWeights(index: index, in: FolderSource(path: scratch.path))
            #expect(weights.findings.map(\.code) == expected)
        }
    }

    @Test(arguments: [
        "../model.safetensors", "/etc/passwd", "a/b", "a\\\\b", "..", ".", "", "x\\u0000", "x\\n", "a..b",
    ])
    func `a name that is not plain is refused before any file is opened`(name: String) throws {
        var map = good
        map["c"] = name
        map["a"] = "missing.safetensors"
        #expect(try refusal(map) == "shard.path")
    }

    @Test func `a link is refused even when another shard is missing`() throws {
        let scratch = try folder(["a": "missing.safetensors", "c": "z.safetensors"])
        symlink("model-00002-of-00002.safetensors", scratch("z.safetensors"))
        #expect(code { _ = try ShardedWeights(index: index, in: FolderSource(path: scratch.path)) } == "shard.path")
    }

    @Test func `index and shards must agree`() throws {
        var map = good
        map["c"] = "model-00003-of-00002.safetensors"
        #expect(try refusal(map) == "shard.missing")
        map = good
        map["d"] = "model-00002-of-00002.safetensors"
        #expect(try refusal(map) == "shard.bad_index")
        map = good
        map["b"] = nil
        #expect(try refusal(map) == "shard.bad_index")
        map = good
        map["b"] = "model-00002-of-00002.safetensors"
        #expect(try refusal(map) == "shard.bad_index")
    }

    @Test func `a tensor in two shards is refused`() throws {
        let scratch = try folder(good)
        let both = "{\(S.entry("a")),\(S.entry("c", "F32", "[4]", "16", "32"))}"
        try scratch.write(S.file(both, data: S.zeros(32)), as: "model-00002-of-00002.safetensors")
        #expect(
            code { _ = try ShardedWeights(index: index, in: FolderSource(path: scratch.path)) } == "shard.bad_index")
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"weight_map":[]}"#, #"{"weight_map":{"a":1}}"#, #"{"weight_map":{"a":"x","a":"y"}}"#,
    ])
    func `a broken index is refused`(text: String) throws {
        let scratch = try Scratch()
        try scratch.write(Array(text.utf8), as: index)
        #expect(
            code { _ = try ShardedWeights(index: index, in: FolderSource(path: scratch.path)) } == "shard.bad_index")
    }

    @Test func `a damaged shard is named`() throws {
        let scratch = try folder(good)
        try scratch.write([1, 2, 3], as: "model-00002-of-00002.safetensors")
        do {
            _ = try ShardedWeights(index: index, in: FolderSource(path: scratch.path))
            Issue.record("accepted")
        } catch let failure as Failure {
            #expect(failure.code == .safetensorsTooShort)
            #expect(failure.path?.hasSuffix("model-00002-of-00002.safetensors") == true)
        }
    }

    @Test func `weights are found by name, in one file or in shards`() throws {
        let scratch = try folder(good)
        let source = FolderSource(path: scratch.path)
        #expect(try WeightFolder.open("model", in: source) is ShardedWeights)
        #expect(try WeightFolder.open("adapter_model", in: source) == nil)
        try scratch.write(S.adapter, as: "adapter_model.safetensors")
        #expect(try WeightFolder.open("adapter_model", in: source) is SafetensorsFile)
        #expect(source.contains(index))
        #expect(
            try source.fileNames() == [
                "adapter_model.safetensors", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                index,
            ])
        #expect(code { _ = try source.open("../x") } == "path.bad_name")
    }
}
