import Adapters
import Diagnostics
import Testing

@testable import Merging

/// Operands, modules, rules of a stage.
@Suite struct PlanResolutionTests {
    let a = TestAdapters.adapter("a")
    let b = TestAdapters.adapter("b")

    @Test func `a tag becomes its adapters with the parameters of the entry`() throws {
        let found = try plan(
            "merge_method: linear\nmodels: [ { model: \"tag:x=y\", parameters: { weight: 0.25 } } ]",
            MemoryLibrary(b, a))
        #expect(found.result.operands.map(\.name) == ["a", "b"])
        #expect(found.result.operandEntries == [0, 0])
        #expect(
            found.result.modules.map(\.module) == ["layers.0.attn", "layers.0.mlp", "layers.1.attn", "layers.1.mlp"])
        #expect(found.result.modules[0].operands.map(\.weight) == [0.25, 0.25])
        #expect(found.result.output.rank == nil)
        #expect(found.result.output.precision == .keep)
    }

    @Test func `a tag that matches nothing, and a name that is not there, are errors with their place`() throws {
        let empty = try #require(failure { _ = try plan("merge_method: linear\nmodels: [\"tag:x\"]", MemoryLibrary()) })
        #expect(empty.code == .referenceNotFound)
        #expect(empty.place == "line 2, column 10")
        let missing = try #require(failure { _ = try plan("merge_method: linear\nmodels: [a, c]", MemoryLibrary(a)) })
        #expect(missing.code == .referenceNotFound)
        #expect(missing.place == "line 2, column 13")
    }

    @Test func `an adapter that is named twice is noted`() throws {
        let found = try plan("merge_method: linear\nmodels: [a, b, a]", MemoryLibrary(a, b))
        #expect(found.result.notes.map(\.code) == ["recipe.duplicate_adapter"])
        #expect(found.result.operands.count == 3)
    }

    @Test func `different shapes are refused with module, adapter and both shapes`() throws {
        let odd = TestAdapters.adapter("odd", layers: [], extra: [TestAdapters.module("layers.1.mlp", dOut: 7)])
        let found = try #require(
            failure { _ = try plan("merge_method: linear\nmodels: [a, odd]", MemoryLibrary(a, odd)) })
        #expect(found.code == .mergeShapeMismatch)
        #expect(found.place == "layers.1.mlp")
        #expect(found.details == ["module": "layers.1.mlp", "adapter": "odd", "expected": "[4, 3]", "found": "[7, 3]"])
        let ignored = try plan(
            "merge_method: linear\nmodels: [a, odd]\nignore: [\"layers.1.mlp\"]", MemoryLibrary(a, odd))
        #expect(ignored.result.modules.count == 3)
    }

    @Test func `DoRA asks for the base weights`() throws {
        let dora = TestAdapters.adapter(
            "dora", layers: [], extra: [TestAdapters.module("layers.0.mlp", magnitude: true)])
        let found = try #require(
            failure { _ = try plan("merge_method: linear\nmodels: [a, dora]", MemoryLibrary(a, dora)) })
        #expect(found.code == .mergeDoraNeedsBase)
        #expect(found.place == "layers.0.mlp")
        #expect(found.message.contains("'dora'"))
    }

    // MARK: Bases

    @Test(arguments: [
        ("org/model", "", "Org/Model/", "", BaseAgreement.Verdict.same), ("org/model", "", "org/other", "", .different),
        ("org/model", "abc", "org/model", "def", .different), ("org/model", "main", "org/model", "def", .same),
        ("/data/models/m", "", "org/m", "", .same), ("./x", "", "org/m", "", .different),
        ("", "", "org/m", "", .unknown),
        ("https://huggingface.co/org/model", "", "org/model", "", .same), ("a/m", "", "b/m", "", .different),
    ])
    func `bases are compared by name and revision`(_ test: (String, String, String, String, BaseAgreement.Verdict)) {
        let left = BaseIdentity(name: test.0, revision: test.1)
        let right = BaseIdentity(name: test.2, revision: test.3)
        #expect(BaseAgreement.compare(left, right) == test.4)
        #expect(BaseAgreement.compare(right, left) == test.4)
    }

    @Test func `a base may carry its revision`() {
        #expect(BaseAgreement.identity("org/model@abc") == BaseIdentity(name: "org/model", revision: "abc"))
        #expect(BaseAgreement.identity("/data/me@host/model") == BaseIdentity(name: "/data/me@host/model"))
    }

    @Test func `known digests decide`() {
        let left = BaseIdentity(name: "a", digest: "AB")
        #expect(BaseAgreement.compare(left, BaseIdentity(name: "b", digest: "ab")) == .same)
        #expect(BaseAgreement.compare(left, BaseIdentity(name: "a", digest: "cd")) == .different)
    }

    @Test func `another base is an error unless allowed`() throws {
        let other = TestAdapters.adapter("other", base: "base/else")
        let nameless = TestAdapters.adapter("nameless", base: "")
        let library = MemoryLibrary(a, other, nameless)
        let found = try #require(failure { _ = try plan("merge_method: linear\nmodels: [a, other]", library) })
        #expect(found.code == .mergeBaseMismatch)
        #expect(found.message.contains("base/else") && found.message.contains("base/model"))
        let allowed = try plan("merge_method: linear\nmodels: [a, other]\nallow_base_mismatch: true", library)
        #expect(allowed.result.notes.map(\.code) == ["merge.base_mismatch"])
        let unknown = try plan("merge_method: linear\nmodels: [a, nameless]", library)
        #expect(unknown.result.notes.map(\.code) == ["merge.base_unknown"])
        let declared = failure { _ = try plan("merge_method: linear\nmodels: [a]\nbase_model: base/third", library) }
        #expect(declared?.code == .mergeBaseMismatch)
    }

    // MARK: Missing modules

    private var partial: MemoryLibrary {
        MemoryLibrary(a, TestAdapters.adapter("small", layers: [0], parts: ["attn"]))
    }

    private func weights(_ missing: String, _ module: String) throws -> [Double] {
        let text = """
            merge_method: linear
            models: [ { model: a, parameters: { weight: 1 } }, { model: small, parameters: { weight: 3 } } ]
            missing: \(missing)
            """
        let found = try plan(text, partial).result.modules.first { $0.module == module }
        return try #require(found).operands.map(\.weight)
    }

    @Test func `a module is merged from those who have it`() throws {
        #expect(try weights("skip", "layers.0.attn") == [1, 3])
        #expect(try weights("skip", "layers.1.mlp") == [1])
        #expect(try weights("renormalize", "layers.1.mlp") == [4])
        #expect(try weights("renormalize", "layers.0.attn") == [1, 3])
        #expect(try weights("zero", "layers.1.mlp") == [1, 3])
        let found = try #require(failure { _ = try weights("error", "layers.1.mlp") })
        #expect(found.code == .mergeModuleMismatch)
        #expect(found.place == "layers.0.mlp")
    }

    @Test func `excluded modules are listed, and none left is an error`() throws {
        let library = MemoryLibrary(a)
        let found = try plan("merge_method: linear\nmodels: [a]\nfilters: { exclude: [\"*.mlp\"] }", library)
        #expect(found.result.modules.map(\.module) == ["layers.0.attn", "layers.1.attn"])
        #expect(found.result.omittedModules == ["layers.0.mlp", "layers.1.mlp"])
        let none = failure {
            _ = try plan("merge_method: linear\nmodels: [a]\nfilters: { include: [\"mlp\"] }", library)
        }
        #expect(none?.code == .recipeBadParameter)
        #expect(none?.hint?.contains("layers.0.attn") == true)
        let unused = try plan("merge_method: linear\nmodels: [a]\nfilters: { exclude: [\"lm_head\"] }", library)
        #expect(unused.result.notes.map(\.code) == ["recipe.unused_pattern"])
    }

    // MARK: Rules

    @Test func `random methods need a seed or all masks`() throws {
        let library = MemoryLibrary(a)
        let found = try #require(failure { _ = try plan("merge_method: dare_linear\nmodels: [a]", library) })
        #expect(found.code == .recipeSeedRequired)
        #expect(
            try plan("merge_method: dare_linear\nmodels: [a]\nseed: 18446744073709551615", library).result.seed == .max)
        let masked = try plan("merge_method: dare_linear\nmodels: [a]\nparameters: { mask_file: m }", library)
        #expect(masked.result.seed == nil)
        let override =
            "merge_method: linear\nmodels: [a]\noverrides: [ { match: \"*.mlp\", merge_method: dare_linear } ]"
        #expect(failure { _ = try plan(override, library) }?.code == .recipeSeedRequired)
    }

    @Test func `a density of 1 draws nothing and needs no seed`() throws {
        let library = MemoryLibrary(a, TestAdapters.adapter("b", layers: 0..<2))
        let whole = "merge_method: dare_linear\nmodels: [a, b]\nparameters: { density: 1.0 }"
        #expect(try plan(whole, library).result.seed == nil)
        let one = """
            merge_method: dare_linear
            models: [{ model: a, parameters: { density: 0.5 } }, b]
            parameters: { density: 1.0 }
            """
        #expect(failure { _ = try plan(one, library) }?.code == .recipeSeedRequired)
    }

    @Test func `weights that add up to zero cannot be normalised`() throws {
        let models = "models: [ { model: a, parameters: { weight: 1 } }, { model: b, parameters: { weight: -1 } } ]\n"
        let library = MemoryLibrary(a, b)
        let found = try #require(failure { _ = try plan("merge_method: linear\n" + models, library) })
        #expect(found.code == .recipeZeroWeightSum)
        #expect(found.place == "layers.0.attn")
        #expect(try plan("merge_method: task_arithmetic\n" + models, library).result.modules.count == 4)
    }

    @Test func `weight 0 leaves an adapter out of spectral methods only`() throws {
        let models = "models: [ a, { model: b, parameters: { weight: 0 } } ]\n"
        let library = MemoryLibrary(a, b)
        let spectral = try plan("merge_method: tsv_m\n" + models, library)
        #expect(spectral.result.modules.allSatisfy { $0.operands.map(\.operand) == [0] })
        #expect(spectral.result.notes.map(\.code) == ["recipe.zero_weight_dropped"])
        let kept = try plan("merge_method: tsv_m\ndrop_zero_weight: false\n" + models, library)
        #expect(kept.result.modules[0].operands.count == 2)
        #expect(try plan("merge_method: ties\n" + models, library).result.modules[0].operands.count == 2)
    }

    @Test func `methods of two adapters refuse one and three, and leave lone modules alone`() throws {
        let library = MemoryLibrary(a, b, TestAdapters.adapter("small", layers: [0], parts: ["attn"]))
        let settings = "\nparameters: { t: 0.5 }"
        #expect(
            failure { _ = try plan("merge_method: slerp\nmodels: [a]" + settings, library) }?.code
                == .recipeBadParameter)
        #expect(
            failure { _ = try plan("merge_method: slerp\nmodels: [a, b, a]" + settings, library) }?.code
                == .recipeBadParameter)
        let found = try plan("merge_method: slerp\nmodels: [a, small]" + settings, library)
        #expect(found.result.modules.map(\.method) == ["slerp", "linear", "linear", "linear"])
        #expect(found.result.modules[1].parameters == ["lambda": .number(1), "normalize": .bool(true)])
        #expect(found.result.notes.map(\.code) == ["recipe.lone_adapter"])
    }

    @Test func `density 0 is noted`() throws {
        let found = try plan("merge_method: ties\nmodels: [a]\nparameters: { density: 0 }", MemoryLibrary(a))
        #expect(found.result.notes.map(\.code) == ["recipe.zero_density"])
    }

    @Test func `PEFT merges a single adapter by linear`() throws {
        let library = MemoryLibrary(a, b)
        let settings = "\ncompat: peft\nparameters: { density: 0.5 }"
        let one = try plan(
            "merge_method: ties\nmodels: [ { model: a, parameters: { weight: 2 } } ]" + settings, library)
        #expect(
            one.result.modules.allSatisfy {
                $0.method == "linear" && $0.parameters.isEmpty && $0.operands[0].weight == 2
            })
        let two = try plan("merge_method: ties\nmodels: [a, b]" + settings, library)
        #expect(two.result.modules[0].method == "ties")
        #expect(two.result.modules[0].parameters == ["density": .number(0.5), "majority_sign_method": .text("total")])
        let old = try plan("merge_method: ties\nmodels: [a, b]\ncompat: peft-0.20\nparameters: { density: 1 }", library)
        #expect(old.result.compatibility == .peft020)
        let missing = failure { _ = try plan("merge_method: ties\nmodels: [a, b]\ncompat: peft", library) }
        #expect(missing?.message.contains("'density'") == true)
    }

    @Test func `limits come from the recipe, else from the options`() throws {
        var options = PlanOptions()
        options.memoryLimitBytes = 7 << 20
        options.threads = 3
        let reader = RecipeReader(registry: TestMethods.registry)
        let planner = RecipePlanner(library: MemoryLibrary(a), registry: TestMethods.registry, options: options)
        let silent = try planner.plan(try reader.read(text: "merge_method: linear\nmodels: [a]", folder: ""))
        #expect(silent.result.memoryLimitBytes == 7 << 20 && silent.result.threads == 3)
        let text = "merge_method: linear\nmodels: [a]\nlimits: { memory: 64MiB, threads: 2 }"
        let said = try planner.plan(try reader.read(text: text, folder: ""))
        #expect(said.result.memoryLimitBytes == 64 << 20 && said.result.threads == 2)
    }

    @Test func `post steps follow methods of their classes`() throws {
        let library = MemoryLibrary(a)
        let found = try plan("merge_method: tsv_m\nmodels: [a]\npost: [ svc, { svc: { alpha: 0.5 } } ]", library)
        #expect(found.result.post.map { $0.parameters["alpha"] } == [.number(1), .number(0.5)])
        let wrong = try #require(failure { _ = try plan("merge_method: ties\nmodels: [a]\npost: [svc]", library) })
        #expect(wrong.code == .recipeBadParameter)
        #expect(wrong.place == "line 3, column 8")
    }

    @Test(arguments: ["dense", "report-only"])
    func `a sink that merging does not write is refused`(_ sink: String) throws {
        let text = "merge_method: linear\nmodels: [a]\noutput: { sink: \(sink) }"
        let found = try #require(failure { _ = try plan(text, MemoryLibrary(a)) })
        #expect(found.code == .recipeBadParameter)
        #expect(found.place == "line 3, column 17")
    }

    @Test func `hundreds of adapters plan quickly`() throws {
        let adapters = (0..<300).map { TestAdapters.adapter("a\($0)", layers: 0..<24) }
        var library = MemoryLibrary()
        library.adapters = adapters
        let start = ContinuousClock.now
        let found = try plan("merge_method: ties\nmodels: [\"tag:x\"]", library)
        #expect(found.result.modules.count == 48)
        #expect(found.result.modules[47].operands.count == 300)
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    // MARK: Stages

    @Test func `a later stage plans on the outline of an earlier one`() throws {
        let text = """
            stages:
              - { name: first, merge_method: tsv_m, models: [a, b], filters: { exclude: ["*.mlp"] } }
              - { name: second, merge_method: linear, models: [ { model: "stage:first", parameters: { weight: 2 } }, b ] }
            """
        let found = try plan(text, MemoryLibrary(a, b))
        #expect(found.stages.map(\.name) == ["first", "second"])
        #expect(found.stages[0].output.precision == .f32 && found.stages[0].output.rank == .keep)
        let second = found.result
        #expect(second.pendingOperands == [0: "first"])
        #expect(second.operands[0].adapter.modules.map(\.name) == ["layers.0.attn", "layers.1.attn"])
        #expect(second.operands[0].adapter.modules[0].rank == 0)
        #expect(second.modules.first { $0.module == "layers.0.attn" }?.operands.map(\.weight) == [2, 1])
        #expect(second.modules.first { $0.module == "layers.0.mlp" }?.operands.map(\.operand) == [1])
        let filled = second.filling(stage: "first", with: a.adapter)
        #expect(filled.pendingOperands.isEmpty)
        #expect(filled.operands[0].adapter.modules[0].rank == 2)
    }
}
