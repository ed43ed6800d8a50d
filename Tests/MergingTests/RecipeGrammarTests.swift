import Diagnostics
import Settings
import Testing

@testable import Merging

@Suite struct RecipeGrammarTests {
    @Test func `every key of the grammar is read`() throws {
        let recipe = try readRecipe(
            """
            version: 1
            name: vision8
            merge_method: ties
            compat: none
            base_model: openai/clip@rev
            models:
              - model: svhn@3
                parameters: { weight: 0.5, density: 0.4 }
              - "tag:set=digits"
            parameters: { lambda: 0.3, elect: count }
            filters:
              include: ["*.attn.*", "re:layers\\\\.(\\\\d+)\\\\.mlp"]
              exclude: "*.lm_head"
            overrides:
              - match: "*.v_proj"
                merge_method: tsv_m
                parameters: { k: { energy: 0.9 } }
                models: [ { model: svhn@3, parameters: { weight: 2 } } ]
            layers:
              - range: [0, 8]
                parameters: { density: 0.5 }
                models: [ {}, { parameters: { weight: 3 } } ]
            layer_pattern: "*.stages"
            missing: renormalize
            others: first
            seed: 0x2A
            output:
              name: merged
              rank: { tail: 0.01 }
              dtype: f16
              split: b
              uniform: true
              tags: [merged, "set=vision", 2024]
              sink: report-only
            limits: { memory: 1.5GiB, threads: 2 }
            allow_base_mismatch: true
            non_finite: zero
            ignore: ["*.bias"]
            drop_zero_weight: false
            pad: zero
            """)
        #expect(recipe.name == "vision8")
        let stage = try #require(recipe.stages.first)
        #expect(stage.method == Located("ties", at: .file(line: 3, column: 15)))
        #expect(stage.baseModel?.value == "openai/clip@rev")
        #expect(stage.models.map(\.reference.value) == ["svhn@3", "tag:set=digits"])
        #expect(stage.filters.admit("model.attn.q"))
        #expect(stage.filters.admit("model.layers.12.mlp.fc1"))
        #expect(!stage.filters.admit("model.mlp.fc1"))
        #expect(!stage.filters.admit("model.attn.lm_head"))
        #expect(stage.overrides[0].method?.value == "tsv_m")
        #expect(stage.overrides[0].models.map(\.model) == [0])
        #expect(stage.layers[0].range == 0..<8)
        #expect(stage.layers[0].models.map(\.model) == [0, 1])
        #expect(stage.missing == .renormalize)
        #expect(stage.others == .first)
        #expect(stage.seed == 42)
        #expect(stage.output.rank == .tail(0.01))
        #expect(stage.output.precision == .f16)
        #expect(stage.output.split == .b)
        #expect(stage.output.uniform == true)
        #expect(stage.output.tags == ["merged": "", "set": "vision", "2024": ""])
        #expect(stage.output.sink?.value == "report-only")
        #expect(stage.limits.memoryBytes == 3 << 29)
        #expect(stage.limits.threads == 2)
        #expect(stage.allowBaseMismatch && stage.zeroNonFinite && !stage.dropZeroWeight && stage.padRanks)
        #expect(stage.ignore.map(\.text) == ["*.bias"])
    }

    @Test func `version, name and output may be missing`() throws {
        let recipe = try readRecipe("merge_method: linear\nmodels: [a, b]\n")
        #expect(recipe.name == nil)
        #expect(recipe.stages[0].output.rank == nil)
        #expect(recipe.stages[0].missing == .skip)
    }

    @Test(arguments: [
        ("keep", OutputRank.keep), ("max", .max), ("auto", .auto), ("16", .fixed(16)),
        ("{energy: 0.99}", .energy(0.99)),
        ("{tail: 0.05}", .tail(0.05)),
    ])
    func `output rank has six forms`(_ form: (text: String, rank: OutputRank)) throws {
        let recipe = try readRecipe("merge_method: linear\nmodels: [a]\noutput: { rank: \(form.text) }")
        #expect(recipe.stages[0].output.rank == form.rank)
    }

    @Test(arguments: [
        ("64KiB", 65_536), ("512MiB", 536_870_912), ("2GiB", 2_147_483_648), ("2 GiB", 2_147_483_648),
        ("0.5GiB", 536_870_912), ("33554432", 33_554_432), ("1TiB", 1_099_511_627_776), ("7B", 7),
    ])
    func `sizes have units`(_ size: (text: String, bytes: Int)) {
        #expect(ByteCount.parse(size.text) == size.bytes)
    }

    @Test(arguments: ["", "GiB", "2GB", "-1GiB", "1e3", "2 G", "1.2.3MiB", "９GiB"])
    func `other sizes are refused`(_ text: String) { #expect(ByteCount.parse(text) == nil) }

    @Test func `anchors and aliases are expanded`() throws {
        let recipe = try readRecipe(
            """
            merge_method: ties
            models:
              - { model: a, parameters: &p { weight: 0.5, density: 0.4 } }
              - { model: b, parameters: *p }
            """)
        #expect(recipe.stages[0].models[1].parameters.entries.map(\.name) == ["weight", "density"])
    }

    @Test func `comments may hold anything`() throws {
        let text = "# what? [a]: b ? *c : {d}: e\nmerge_method: linear # ? [x]: y\nmodels: [a]\n"
        #expect(try readRecipe(text).stages[0].method.value == "linear")
    }

    @Test func `values follow the core schema of YAML 1_2`() {
        let cases: [(String, YAMLScalar.Value)] = [
            ("yes", .text), ("on", .text), ("true", .bool(true)), ("False", .bool(false)), ("~", .null),
            ("null", .null),
            ("", .null), ("12", .number(12)), ("-1.5e3", .number(-1500)), ("+.5", .number(0.5)), ("1.", .number(1)),
            ("0x10", .number(16)), ("0o17", .number(15)), (".inf", .number(.infinity)), ("-.inf", .number(-.infinity)),
            ("1_000", .text), ("1e", .text), ("e5", .text), (".", .text), ("inf", .text), ("nan", .text), ("0x", .text),
            ("1:30", .text), ("--1", .text), ("2024-01-01", .text),
        ]
        for (text, value) in cases { #expect(YAMLScalar(text, quoted: false).value == value, "\(text)") }
        #expect(YAMLScalar("12", quoted: true).value == .text)
    }

    // MARK: Stages

    static let twoStages = """
        merge_method: ties
        name: inner
        seed: 3
        models: [a, b]
        ---
        name: outer
        merge_method: linear
        models: [ "stage:inner", c ]
        """

    @Test func `several documents are stages`() throws {
        let recipe = try readRecipe(Self.twoStages)
        #expect(recipe.stages.map(\.name) == ["inner", "outer"])
        #expect(recipe.name == "outer")
        #expect(recipe.stages[1].models.map(\.isStage) == [true, false])
        #expect(recipe.notes.isEmpty)
    }

    @Test func `stages run behind those they use, whatever their order in the file`() throws {
        let recipe = try readRecipe(
            """
            name: all
            compat: none
            seed: 9
            output: { rank: 4, tags: { a: b } }
            stages:
              - { name: last, merge_method: linear, models: ["stage:one", "stage:two"], output: { dtype: f32 } }
              - { name: two, merge_method: linear, models: ["stage:one", b] }
              - { name: one, merge_method: dare_linear, models: [a], seed: 1 }
            """)
        let graph = try StageGraph(recipe.stages)
        #expect(graph.order == [2, 1, 0])
        #expect(graph.result == 0)
        #expect(recipe.name == "all")
        #expect(recipe.stages.map(\.seed) == [9, 9, 1])
        #expect(recipe.stages[0].output.rank == .fixed(4))
        #expect(recipe.stages[0].output.precision == .f32)
        #expect(recipe.stages[0].output.tags == ["a": "b"])
        #expect(recipe.stages[1].output.rank == nil)
        #expect(recipe.resultIndex == 0 && recipe.outputName == "all")
    }

    @Test func `a stage that nothing uses is noted`() throws {
        let recipe = try readRecipe(
            """
            stages:
              - { name: alone, merge_method: linear, models: [a] }
              - { name: result, merge_method: linear, models: [b] }
            """)
        #expect(recipe.notes.map(\.code) == ["recipe.unused_stage"])
        #expect(recipe.notes[0].message.contains("alone"))
    }

    @Test func `search is read, and merging asks for its own command`() throws {
        let text = """
            merge_method: linear
            models: [a]
            search:
              over: { "models[*].weight": [0, 1], lambda: [0.1, 0.3] }
              strategy: cma_es
              evaluator: cmd:./eval
              budget: 50
            """
        let search = try #require(try readRecipe(text).search)
        #expect(search.over.map(\.key) == ["lambda", "models[*].weight"])
        #expect(search.strategy == .evolution)
        #expect(search.budget == 50)
        let found = try #require(failure { _ = try plan(text, MemoryLibrary(TestAdapters.adapter("a"))) })
        #expect(found.code == .usageBadArgument)
        #expect(found.place == "line 4, column 3")
    }

    // MARK: Options

    @Test func `set changes keys, makes mappings on the way and reads YAML`() throws {
        let recipe = try readRecipe(
            "merge_method: ties\nmodels: [ {model: a}, {model: b, parameters: {weight: 1}} ]",
            overrides: [
                "output.rank={energy: 0.9}", "parameters.lambda=0.3", "models[*].parameters.density=0.5",
                "models[1].parameters.weight=2", "seed=7", "name=x",
            ])
        let stage = recipe.stages[0]
        #expect(stage.output.rank == .energy(0.9))
        #expect(stage.seed == 7)
        #expect(stage.models[0].parameters.entries.map(\.name) == ["density"])
        guard case .value(let weight) = stage.models[1].parameters["weight"]?.setting else {
            Issue.record("no weight")
            return
        }
        #expect(weight.form == .number(2))
    }

    @Test(arguments: [
        ("output", ErrorCode.usageBadArgument), ("=1", .usageBadArgument), ("a..b=1", .recipeBadParameter),
        ("models[x].a=1", .recipeBadParameter), ("models[7].parameters.weight=1", .recipeBadParameter),
        ("merge_method.x=1", .recipeBadParameter), ("lambda=0.3", .recipeUnknownKey), ("seed=[1", .recipeSyntax),
        ("seed=abc", .recipeBadParameter), ("models[=1", .recipeBadParameter),
    ])
    func `a wrong option is refused and named`(_ option: (text: String, code: ErrorCode)) throws {
        let found = try #require(
            failure { _ = try readRecipe("merge_method: linear\nmodels: [a]", overrides: [option.text]) })
        #expect(found.code == option.code)
        #expect((found.place ?? found.message).contains(option.text))
    }

    @Test func `merge by method takes bare names as parameters`() throws {
        let reader = RecipeReader(registry: TestMethods.registry)
        let recipe = try reader.inline(
            method: "ties", references: ["a", "tag:x"], folder: "",
            overrides: try ["density=0.3", "seed=4", "output.rank=8", "missing=zero"].map { try SettingOverride($0) })
        #expect(recipe.stages[0].parameters.entries.map(\.name) == ["density"])
        #expect(recipe.stages[0].seed == 4)
        #expect(recipe.stages[0].missing == .zero)
        #expect(recipe.stages[0].output.rank == .fixed(8))
        let peft = try reader.inline(
            method: "ties", references: ["a"], folder: "",
            overrides: try ["compat=peft", "majority_sign_method=frequency"].map { try SettingOverride($0) })
        #expect(peft.stages[0].compatibility == .peft)
        let wrong = failure {
            _ = try reader.inline(
                method: "ties", references: ["a"], folder: "", overrides: [try SettingOverride("densty=0.3")])
        }
        #expect(wrong?.code == .recipeUnknownKey)
        #expect(wrong?.hint?.contains("density") == true)
        let misplaced = failure {
            _ = try reader.inline(
                method: "ties", references: ["a"], folder: "", overrides: [try SettingOverride("rank=3")])
        }
        #expect(misplaced?.hint == "did you mean 'output.rank'?")
        let unknown = failure { _ = try reader.inline(method: "tsvm", references: ["a"], folder: "") }
        #expect(unknown?.code == .recipeUnknownMethod)
        #expect(unknown?.place == "--method tsvm")
    }

    // MARK: Patterns

    @Test(arguments: [
        ("*", "a.b", true), ("*.attn.*", "x.attn.q", true), ("*.attn.*", "attn.q", false), ("a?c", "abc", true),
        ("a?c", "ac", false), ("[ab]x", "bx", true), ("[!ab]x", "bx", false), ("[a-c]*", "c.d", true),
        ("layers.[0-3].*", "layers.3.q", true), ("layers.[0-3].*", "layers.13.q", false), ("a*b*c", "aXbXbXc", true),
        ("q_proj", "x.q_proj", false), ("*q_proj", "x.q_proj", true), ("", "x", false), ("a]", "a]", true),
        ("[]]", "]", true), ("re:^layers", "layers.0", true), ("re:^layers", "x.layers.0", false),
        ("re:attn|mlp", "x.mlp.fc", true), ("re:q$", "a.q", true), ("re:q$", "q.a", false),
        ("re:layers\\.(\\d+)\\.mlp", "m.layers.12.mlp.x", true),
    ])
    func `patterns match whole names as globs and anywhere as expressions`(
        _ test: (pattern: String, name: String, match: Bool)
    ) {
        if test.pattern.isEmpty {
            #expect(failure { _ = try ModulePattern(test.pattern) }?.code == .recipeBadParameter)
        } else {
            let matches = try? ModulePattern(test.pattern).matches(test.name)
            #expect(matches == test.match, "\(test.pattern) on \(test.name)")
        }
    }

    @Test func `patterns that make other engines hang are quick`() throws {
        let name = String(repeating: "a", count: 2_000)
        #expect(try !ModulePattern("re:^(a+)+$b").matches(name))
        #expect(try !ModulePattern(String(repeating: "*a", count: 200) + "b").matches(name))
    }

    @Test(
        arguments: [
            ("model.layers.3.mlp.fc1", 3), ("blocks.0.attn.qkv", 0), ("encoder.layer.11.attention", 11),
            ("transformer.h.7.x", 7),
            ("lm_head", nil), ("experts.3.w", nil), ("layers.x.4.y", 4), ("layers.1.experts.5", 1),
            ("layers.12345678901.x", nil),
        ] as [(String, Int?)])
    func `the layer is the first number behind a container`(_ test: (name: String, layer: Int?)) {
        #expect(LayerIndex().of(test.name) == test.layer)
    }

    @Test func `a pattern of the user says where the layer number stands`() throws {
        let index = LayerIndex(pattern: try ModulePattern("*stages"))
        #expect(index.of("net.stages.4.blocks.2.x") == 4)
        #expect(index.of("net.layers.4.x") == nil)
        #expect(LayerIndex(pattern: try ModulePattern("re:blocks$")).of("net.stages.4.blocks.2.x") == 2)
    }
}
