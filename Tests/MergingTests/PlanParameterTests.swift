import Diagnostics
import Testing

@testable import Merging

/// Where values come from: precedence, gradients, filters, layers, overrides.
@Suite struct PlanParameterTests {
    let library = MemoryLibrary(TestAdapters.adapter("a", layers: 0..<3), TestAdapters.adapter("b", layers: 0..<3))

    func module(_ name: String, _ plan: RecipePlan) throws -> ModulePlan {
        try #require(plan.result.modules.first { $0.module == name })
    }

    @Test func `the nearer setting wins`() throws {
        // One line per level, from the lowest to the highest; each is visible where nothing nearer speaks.
        let levels = [
            "parameters: { density: 0.1 }",
            "layers: [ { range: [1, 2], parameters: { density: 0.3 }, models: [ { parameters: { density: 0.4 } } ] } ]",
            """
            overrides:
              - match: "*.mlp"
                parameters: { density: 0.5 }
                models: [ { model: a, parameters: { density: 0.6 } } ]
            """,
        ]
        let models = "merge_method: ties\nmodels: [ { model: a, parameters: { density: 0.2 } }, b ]\n"
        let all = try plan(models + levels.joined(separator: "\n"), library)
        func densities(_ name: String, _ plan: RecipePlan) throws -> [Double?] {
            try module(name, plan).operands.map { $0.parameters["density"]?.number }
        }
        #expect(try densities("layers.0.attn", all) == [0.2, 0.1])
        #expect(try densities("layers.1.attn", all) == [0.4, 0.3])
        #expect(try densities("layers.0.mlp", all) == [0.6, 0.5])
        #expect(try densities("layers.1.mlp", all) == [0.6, 0.5])
        let none = try plan("merge_method: ties\nmodels: [a, b]", library)
        #expect(try densities("layers.1.mlp", none) == [0.2, 0.2])
    }

    @Test func `the first override that matches wins alone`() throws {
        let found = try plan(
            """
            merge_method: ties
            models: [a, b]
            overrides:
              - { match: "layers.0.*", parameters: { density: 0.7 } }
              - { match: "*.mlp", merge_method: tsv_m, parameters: { k: 3 } }
            """, library)
        #expect(try module("layers.0.mlp", found).method == "ties")
        #expect(try module("layers.0.mlp", found).operands[0].parameters["density"] == .number(0.7))
        let other = try module("layers.1.mlp", found)
        #expect(other.method == "tsv_m")
        #expect(other.parameters == ["k": .number(3), "lambda": .number(1)])
        #expect(other.operands[0].parameters.isEmpty)
        #expect(try module("layers.1.attn", found).parameters["elect"] == .text("sum"))
    }

    @Test func `a list of numbers is spread over the layers`() throws {
        let found = try plan(
            "merge_method: ties\nmodels: [a, b]\nparameters: { lambda: [0, 1, 3], weight: [0.2, 0.6] }", library)
        let lambdas = try (0..<3).map { try module("layers.\($0).attn", found).parameters["lambda"]?.number }
        #expect(lambdas == [0, 1, 3])
        let weights = try (0..<3).map { try module("layers.\($0).attn", found).operands[1].weight }
        #expect(weights == [0.2, 0.4, 0.6])
    }

    @Test func `gradients run over the layers that are present, outside them stands the first value`() throws {
        let sparse = MemoryLibrary(
            TestAdapters.adapter("a", layers: [2, 10], extra: [TestAdapters.module("head")]),
            TestAdapters.adapter("b", layers: [2, 4]))
        let found = try plan("merge_method: linear\nmodels: [a, b]\nparameters: { lambda: [0, 1] }", sparse)
        func lambda(_ name: String) throws -> Double? { try module(name, found).parameters["lambda"]?.number }
        #expect(try lambda("layers.2.attn") == 0)
        #expect(try lambda("layers.4.attn") == 0.5)
        #expect(try lambda("layers.10.mlp") == 1)
        #expect(try lambda("head") == 0)
        let single = MemoryLibrary(TestAdapters.adapter("a", layers: [5]))
        let one = try plan("merge_method: linear\nmodels: [a]\nparameters: { lambda: [0, 1] }", single)
        #expect(try module("layers.5.attn", one).parameters["lambda"]?.number == 1)
    }

    @Test func `interpolation is linear and stays between its ends`() {
        #expect(LayerPositions.interpolate([3], at: 0.7) == 3)
        #expect(LayerPositions.interpolate([0, 10], at: 0.25) == 2.5)
        #expect(LayerPositions.interpolate([1, 2, 4], at: 0.75) == 3)
        #expect(LayerPositions.interpolate([1, 2, 4], at: 1) == 4)
        for step in 0...1000 { #expect(LayerPositions.interpolate([1, 1, 1, 1], at: Double(step) / 1000) == 1) }
    }

    @Test func `filters pick values by module, the rest falls to the next level`() throws {
        let found = try plan(
            """
            merge_method: ties
            models: [ { model: a, parameters: { density: [ { filter: "*.mlp", value: [0.5, 0.9] } ] } }, b ]
            parameters:
              density: [ { filter: "re:layers.0", value: 0.3 }, { value: 0.4 } ]
            """, library)
        func densities(_ name: String) throws -> [Double?] {
            try module(name, found).operands.map { $0.parameters["density"]?.number }
        }
        #expect(try densities("layers.0.mlp") == [0.5, 0.3])
        #expect(try densities("layers.1.mlp") == [0.7, 0.4])
        #expect(try densities("layers.2.mlp") == [0.9, 0.4])
        #expect(try densities("layers.0.attn") == [0.3, 0.3])
        #expect(try densities("layers.2.attn") == [0.4, 0.4])
    }

    @Test func `tables give values by layer and by module`() throws {
        let found = try plan(
            """
            merge_method: linear
            models: [a, b]
            parameters:
              lambda: { per: layer, values: { 0: 0.25, 2: 0.75 } }
              weight: { per: module, values: { layers.1.attn: 5 } }
            """, library)
        let lambdas = try (0..<3).map { try module("layers.\($0).mlp", found).parameters["lambda"]?.number }
        #expect(lambdas == [0.25, 1, 0.75])
        #expect(try module("layers.1.attn", found).operands.map(\.weight) == [5, 5])
        #expect(try module("layers.0.attn", found).operands.map(\.weight) == [1, 1])
    }

    @Test func `paths among the parameters start at the recipe's folder`() throws {
        let recipe = try RecipeReader(registry: TestMethods.registry).read(
            text: "merge_method: dare_linear\nmodels: [a]\nparameters: { mask_file: masks.safetensors }",
            folder: "/recipes")
        let found = try RecipePlanner(library: library, registry: TestMethods.registry).plan(recipe)
        #expect(found.result.modules[0].parameters["mask_file"] == .text("/recipes/masks.safetensors"))
    }

    @Test func `a required parameter that nobody gives is named`() throws {
        let found = try #require(failure { _ = try plan("merge_method: slerp\nmodels: [a, b]", library) })
        #expect(found.code == .recipeBadParameter)
        #expect(found.message.contains("'t'"))
        #expect(found.place == "line 1, column 15")
    }
}
