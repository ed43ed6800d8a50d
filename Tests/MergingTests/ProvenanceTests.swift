import Diagnostics
import Testing
import WeightFiles

@testable import Merging

@Suite struct ProvenanceTests {
    let a = TestAdapters.adapter("a", object: String(repeating: "a", count: 64))
    let b = TestAdapters.adapter("b")

    static let recipe = """
        # comments and order of keys do not matter
        seed: 7
        models:
          - { model: "tag:x", parameters: { weight: [0.25, 1.0], density: 0.50 } }
        merge_method: ties
        parameters: { elect: count, lambda: [ { filter: "*.mlp", value: 1 }, { value: 0.3 } ] }
        overrides:
          - { match: "*.mlp", merge_method: tsv_m, parameters: { k: { energy: 0.9 } }, models: [ { parameters: { weight: 2 } } ] }
        layers: [ { range: [0, 1], parameters: { density: 0.4 } } ]
        filters: { exclude: lm_head }
        output: { rank: { tail: 0.01 }, tags: [x=y] }
        """

    @Test func `the resolved recipe is canonical and names adapters by content`() throws {
        let found = try plan(Self.recipe, MemoryLibrary(a, b))
        let text = found.resolved.text
        #expect(text.contains(#""model":"id:\#(String(repeating: "a", count: 64))""#))
        #expect(text.contains(#""model":"b""#))
        #expect(text.hasPrefix(#"{"filters":{"exclude":["lm_head"]},"layers":"#))
        #expect(!text.contains(" "))
        #expect(found.resolved.digest.hex.count == 64)
        let reordered = try plan(
            "merge_method: linear\nmodels: [a, b]\nparameters: {weight: 1.0, lambda: 2}", MemoryLibrary(a, b))
        let same = try plan(
            "parameters: {weight: 1, lambda: 2.0}\nmodels: [ {model: a}, {model: b} ]\nmerge_method: linear\nmissing: skip",
            MemoryLibrary(a, b))
        #expect(reordered.resolved.json["merge_method"] == same.resolved.json["merge_method"])
        #expect(reordered.resolved.digest != found.resolved.digest)
    }

    @Test func `the resolved recipe is a recipe with the same plan`() throws {
        let library = MemoryLibrary(a, b)
        let first = try plan(Self.recipe, library)
        let second = try plan(first.resolved.text, library)
        #expect(second.resolved.text == first.resolved.text)
        #expect(second.result.operands.map(\.name) == first.result.operands.map(\.name))
        for (left, right) in zip(first.result.modules, second.result.modules) {
            #expect(left.module == right.module && left.method == right.method && left.parameters == right.parameters)
            #expect(left.operands.map(\.weight) == right.operands.map(\.weight))
            #expect(left.operands.map(\.parameters) == right.operands.map(\.parameters))
        }
        let staged = """
            name: two
            stages:
              - { name: one, merge_method: tsv_m, models: [a, b], post: [svc] }
              - { name: two, merge_method: linear, models: ["stage:one", b] }
            """
        let stages = try plan(staged, library)
        #expect(try plan(stages.resolved.text, library).resolved.text == stages.resolved.text)
    }

    @Test func `set options are part of the resolved recipe`() throws {
        let text = "merge_method: linear\nmodels: [a]"
        let changed = try plan(text, MemoryLibrary(a), overrides: ["parameters.lambda=0.5"])
        #expect(changed.resolved.json["parameters"]?["lambda"]?.double == 0.5)
    }

    @Test func `the record holds recipe, inputs, seed, modules and program`() throws {
        let found = try plan(Self.recipe, MemoryLibrary(a, b))
        let module = MergeRecord.Module(
            name: "layers.0.attn", method: "ties", rankIn: 4, rankOut: 3, discardedEnergy: 0.01, frobenius: 2.5,
            coverage: 1, trimmedShare: 0.8, maxRoundingError: 0, cosines: [[1, 0.5], [0.5, 1]], warnings: ["w"])
        let record = MergeRecord(
            modules: [module], savedTensors: ["head.weight"], dtype: .f32, weightsPath: "/out", bytes: 10,
            replacedEntries: 0, warnings: [], seconds: 0.5)
        let provenance = Provenance(
            plan: found, records: [record], program: "lorabank 9.9", registry: TestMethods.registry)
        let json = provenance.json()
        #expect(json["schema"]?.string == "lorabank.provenance/1")
        #expect(json["program"]?.string == "lorabank 9.9")
        #expect(json["recipe_sha256"]?.string == found.resolved.digest.hex)
        #expect(json["seconds"]?.double == 0.5)
        let stage = try #require(json["stages"]?.array?.first)
        #expect(stage["method"]?.string == "ties")
        #expect(stage["seed"]?.integer == 7)
        #expect(stage["defaults"]?["ties"]?["density"]?.double == 0.2)
        let inputs = try #require(stage["inputs"]?.array)
        #expect(inputs.map { $0["name"]?.string } == ["a", "b"])
        #expect(
            inputs[0]["files"]?["adapter_model.safetensors"]?.string
                == a.adapter.fileDigests["adapter_model.safetensors"]?.hex)
        let row = try #require(stage["modules"]?.array?.first)
        #expect(row["rank_out"]?.integer == 3 && row["trimmed_share"]?.double == 0.8)
        #expect(provenance.json(includesTimes: false)["seconds"] == nil)
    }
}
