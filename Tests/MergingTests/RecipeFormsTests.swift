import Diagnostics
import Settings
import Testing
import WeightFiles

@testable import Merging

/// Recipes in the forms of other programs, and ours as schema, catalogue and YAML.
@Suite struct RecipeFormsTests {
    static let mergekit = """
        models:
          - model: base/model
          - model: base/model+a
            parameters: { weight: 0.5, density: [0.2, 0.8] }
          - model: { model: base/model, lora: b }
            parameters: { weight: 0.7, gamma: 0.1, lambda: 2 }
        merge_method: ties
        base_model: base/model
        parameters:
          normalize: true
          int8_mask: true
          weight: [ { filter: mlp, value: 0.1 }, { value: 1 } ]
        dtype: bfloat16
        tokenizer_source: union
        """

    let library = MemoryLibrary(TestAdapters.adapter("a"), TestAdapters.adapter("b"))

    @Test func `a plain mergekit file runs as it is`() throws {
        let recipe = try readRecipe(Self.mergekit.replacing(", gamma: 0.1, lambda: 2", with: ", lambda: 2"))
        let stage = try #require(recipe.stages.first)
        #expect(stage.compatibility == .mergekit)
        #expect(stage.models.map(\.reference.value) == ["a", "b"])
        #expect(stage.output.precision == .bf16)
        #expect(
            recipe.notes.map(\.code) == [
                "recipe.mergekit_form", "recipe.ignored_key", "recipe.ignored_key", "recipe.base_in_models",
                "recipe.ignored_key",
            ])
        let found = try RecipePlanner(library: library, registry: TestMethods.registry).plan(recipe)
        #expect(found.result.modules.map { $0.operands[0].weight } == [0.5, 0.5, 0.5, 0.5])
        let densities = found.result.modules.map { $0.operands[0].parameters["density"]?.number }
        #expect(densities == [0.2, 0.2, 0.8, 0.8])
        #expect(found.result.modules[0].parameters["normalize"] == .bool(true))
    }

    @Test func `with compat mergekit plain filters mean contains, and unknown parameters are still errors`() throws {
        let text = """
            compat: mergekit
            merge_method: ties
            models: [ { model: a }, { model: b } ]
            parameters:
              weight: [ { filter: mlp, value: 0.25 }, { value: 1 } ]
            """
        let found = try plan(text, library)
        #expect(found.result.modules.map { $0.operands[0].weight } == [1, 0.25, 1, 0.25])
        let wrong = try #require(failure { _ = try readRecipe(text + "\n  wieght: 2") })
        #expect(wrong.code == .recipeUnknownKey)
        #expect(wrong.place == "line 6, column 3")
        let strange = failure { _ = try readRecipe(Self.mergekit) }
        #expect(strange?.message.contains("'gamma'") == true)
    }

    @Test func `mergekit names its own documents without a prefix`() throws {
        let recipe = try readRecipe(
            """
            name: inner
            merge_method: linear
            models: [ {model: a}, {model: b} ]
            dtype: float32
            ---
            merge_method: linear
            models: [ {model: inner}, {model: a} ]
            dtype: float16
            """)
        #expect(recipe.stages.map(\.compatibility) == [.mergekit, .mergekit])
        #expect(recipe.stages[1].models.map(\.isStage) == [true, false])
        #expect(recipe.stages.map(\.output.precision) == [.f32, .f16])
    }

    @Test func `slices over the same models become layer ranges`() throws {
        let text = """
            compat: mergekit
            merge_method: ties
            slices:
              - sources:
                  - { model: a, layer_range: [0, 1], parameters: { weight: 0.5 } }
                  - { model: b, layer_range: [0, 1] }
                parameters: { weight: 0.9 }
              - sources: [ { model: a, layer_range: [1, 2] }, { model: b, layer_range: [1, 2] } ]
                parameters: { weight: 0.1 }
            """
        let found = try plan(text, library)
        #expect(
            found.result.modules.map { $0.operands.map(\.weight) } == [
                [0.5, 0.9], [0.5, 0.9], [0.1, 0.1], [0.1, 0.1],
            ])
        let stacked = text.replacing("[1, 2]", with: "[0, 1]")
        let wrong = try #require(failure { _ = try readRecipe(stacked) })
        #expect(wrong.code == .recipeBadParameter)
        #expect(wrong.message.contains("stack"))
    }

    @Test func `keys of mergekit do not slip into our own recipes`() throws {
        let found = try #require(
            failure { _ = try readRecipe("compat: none\nmerge_method: ties\nmodels: [a]\ndtype: float16") })
        #expect(found.code == .recipeUnknownKey)
        #expect(found.place == "line 4, column 1")
    }

    // MARK: Import

    @Test func `import writes a recipe that plans the same`() throws {
        let text = Self.mergekit.replacing(", gamma: 0.1, lambda: 2", with: "")
        let imported = try RecipeImport(registry: TestMethods.registry).recipe(from: .mergekit, text: text)
        #expect(imported.yaml.contains("compat: mergekit"))
        #expect(imported.notes.count == 3)
        let direct = try plan(text, library)
        let again = try plan(imported.yaml, library)
        #expect(again.resolved.text == direct.resolved.text)
    }

    @Test func `a call of PEFT becomes a recipe`() throws {
        let imported = try RecipeImport(registry: TestMethods.registry).recipe(
            from: .peft,
            text:
                #"{"adapters": ["a", "b"], "weights": [0.7, -0.3], "combination_type": "ties", "density": 0.2, "svd_rank": null}"#
        )
        let found = try plan(imported.yaml, library)
        #expect(found.result.compatibility == .peft)
        #expect(found.result.modules[0].operands.map(\.weight) == [0.7, -0.3])
        #expect(found.result.modules[0].parameters["density"] == .number(0.2))
        let wrong = failure {
            _ = try RecipeImport(registry: TestMethods.registry).recipe(
                from: .peft, text: #"{"adapters": ["a", "b"], "weights": [1]}"#)
        }
        #expect(wrong?.code == .recipeBadParameter)
    }

    @Test func `written YAML reads back as the same tree`() throws {
        let text = """
            a: "yes: no"
            "b c": [1, two, "3", null, true, "true"]
            c:
              - x: 1
                y: { z: [] }
              - [ [1, 2], { q: "line\\nbreak \\u2028 \\" \\\\" } ]
              - "- dash"
              - ""
            d: {}
            "*": "#"
            """
        let first = try #require(try YAMLReader.documents(in: text).first)
        let written = YAMLWriter.text(first)
        let second = try #require(try YAMLReader.documents(in: written).first)
        let nowhere = SourcePlace.option("")
        #expect(first.moved(to: nowhere) == second.moved(to: nowhere), "\(written)")
    }

    // MARK: Catalogue and schema

    @Test func `the catalogue shows what the declarations say`() throws {
        let catalogue = RecipeCatalogue(registry: TestMethods.registry)
        let overview = catalogue.overview()
        for method in TestMethods.registry.all { #expect(overview.contains(method.title)) }
        #expect(overview.contains("with compat: peft-0.20"))
        let page = try #require(catalogue.page("ties"))
        #expect(page.contains("density") && page.contains("a number in 0...1; default 0.2, per adapter"))
        #expect(page.contains("one of sum, count; default sum"))
        #expect(page.contains("auto by default"))
        let peft = try #require(catalogue.page("ties", compatibility: .peft))
        #expect(peft.contains("majority_sign_method") && peft.contains("required"))
        #expect(catalogue.page("nope") == nil)
        #expect(try #require(catalogue.page("slerp")).contains("exactly 2"))
        let json = catalogue.json()
        #expect(json["methods"]?.array?.count == TestMethods.registry.all.count)
    }

    @Test func `the schema knows the keys of the reader`() throws {
        let schema = RecipeSchema(registry: TestMethods.registry)
        #expect(Set(schema.stageProperties().map(\.0)) == Set(StageReader.keys))
        let json = schema.json()
        let output = json["$defs"]?["output"]?["properties"]?.members?.map(\.key)
        #expect(output == OutputReader.keys)
        // Every reference leads to a definition.
        let text = json.text()
        let names = text.split(separator: "\"#/$defs/").dropFirst().map { $0.prefix { $0 != "\"" } }
        let definitions = Set(json["$defs"]?.members?.map(\.key) ?? [])
        #expect(!names.isEmpty)
        for name in names { #expect(definitions.contains(String(name)), "\(name)") }
    }

    @Test func `tolerances may stand in a group`() throws {
        var method = TestMethods.tsv
        method.parameters.append(
            ParameterDeclaration(
                "tol.polar", .number, default: .number(1e-9), range: .nonNegative, summary: "tolerance"))
        let registry = MethodRegistry([method])
        for text in ["tol: { polar: 1e-6 }", "tol.polar: 1e-6"] {
            let recipe = try RecipeReader(registry: registry).read(
                text: "merge_method: tsv_m\nmodels: [a]\nparameters: { \(text) }", folder: "")
            #expect(recipe.stages[0].parameters.entries.map(\.name) == ["tol.polar"])
        }
        let inline = try RecipeReader(registry: registry).inline(
            method: "tsv_m", references: ["a"], folder: "",
            overrides: [try SettingOverride("tol.polar=1e-6"), try SettingOverride("k.energy=0.9")])
        #expect(inline.stages[0].parameters.entries.map(\.name) == ["tol.polar", "k"])
    }
}
