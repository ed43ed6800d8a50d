import Diagnostics
import Testing

@testable import Merging

struct RecipeErrorCase: Sendable, CustomTestStringConvertible {
    var recipe: String
    var code: ErrorCode
    var place: String
    var mentions: String

    init(_ recipe: String, _ code: ErrorCode, _ place: String, _ mentions: String) {
        self.recipe = recipe
        self.code = code
        self.place = place
        self.mentions = mentions
    }

    var testDescription: String { "\(code.name) \(mentions)" }
}

@Suite struct RecipeErrorTests {
    static let syntax: [RecipeErrorCase] = [
        .init("merge_method: [linear\nmodels: [a]", .recipeSyntax, "line 2, column 7", "not valid YAML"),
        .init("merge_method: linear\n\tmodels: [a]", .recipeSyntax, "line 2, column 1", "not valid YAML"),
        .init("merge_method: \"linear\nmodels: [a]\n", .recipeSyntax, "line 3, column 1", "not valid YAML"),
        .init("", .recipeSyntax, "line 1, column 1", "empty"),
        .init("# nothing\n", .recipeSyntax, "line 1, column 1", "empty"),
        .init(
            "merge_method: linear\nmodels: [a]\nmerge_method: ties\n", .recipeSyntax, "line 3, column 1", "merge_method"
        ),
        .init(
            "merge_method: linear\nmodels:\n  - model: a\n    parameters:\n      weight: 1\n      weight: 2\n",
            .recipeSyntax,
            "line 6, column 7", "weight"),
        .init("merge_method: !!python/object linear\nmodels: [a]", .recipeSyntax, "line 1, column 15", "tag"),
        .init("? [a]\n: 1\n", .recipeSyntax, "line 1, column 3", "must be text"),
        .init("x: &x [b]\ny: *x\n? [a]\n: 1\n", .recipeSyntax, "line 3, column 1", "explicit key"),
        .init("[a]: 1\n", .recipeSyntax, "line 1, column 1", "must be text"),
        .init("x: &x [b]\n[*x, *x]: 1\n", .recipeSyntax, "line 2, column 8", "as a key"),
        .init("a: &x b\n*x : 1\n", .recipeSyntax, "line 2, column 1", "alias as a key"),
        .init("merge_method: *nobody\nmodels: [a]", .recipeSyntax, "line 1, column 15", "alias"),
        .init("merge_method: linear\nmodels: [a]\n<<: {seed: 1}\n", .recipeSyntax, "line 3, column 1", "merge keys"),
        .init("merge_method: linear\u{0}\nmodels: [a]", .recipeSyntax, "line 1, column 21", "not valid YAML"),
    ]

    static let keys: [RecipeErrorCase] = [
        .init("merge_metod: linear\nmodels: [a]", .recipeUnknownKey, "line 1, column 1", "merge_method"),
        .init("merge_method: linear\nmodels: [a]\noutput:\n  rnak: 3\n", .recipeUnknownKey, "line 4, column 3", "rank"),
        .init(
            "merge_method: linear\nmodels: [a]\nfilters: {includes: []}", .recipeUnknownKey, "line 3, column 11",
            "include"),
        .init(
            "merge_method: linear\nmodels:\n  - {model: a, weight: 1}", .recipeUnknownKey, "line 3, column 16",
            "parameters"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters:\n  desity: 0.3\n", .recipeUnknownKey, "line 4, column 3",
            "density"),
        .init(
            "merge_method: linear\nmodels: [a]\nlimits: {memroy: 1GiB}", .recipeUnknownKey, "line 3, column 10",
            "memory"),
        .init("merge_method: linear\nmodels: [a]\ndensity: 0.3\n", .recipeUnknownKey, "line 3, column 1", "parameters"),
        .init(
            "merge_method: linear\nmodels: [a]\noutput: {rank: {enrgy: 0.9}}", .recipeUnknownKey, "line 3, column 17",
            "energy"),
        .init(
            "merge_method: ties\nmodels: [a]\noverrides:\n  - match: \"*\"\n    merge_method: linear\n    parameters: {density: 1}\n",
            .recipeUnknownKey, "line 6, column 18", "'linear' has no parameter 'density'"),
        .init(
            "merge_method: linear\nmodels: [a]\npost: [ { svc: {beta: 1} } ]", .recipeUnknownKey, "line 3, column 17",
            "alpha"),
        .init(
            "stages: [ {name: s, merge_method: linear, models: [a]} ]\nmodels: [a]\n", .recipeUnknownKey,
            "line 2, column 1", "inside the stages"),
    ]

    static let methods: [RecipeErrorCase] = [
        .init("merge_method: tie\nmodels: [a]", .recipeUnknownMethod, "line 1, column 15", "'ties'"),
        .init(
            "merge_method: ties\ncompat: kohya\nmodels: [a]", .recipeUnknownMethod, "line 1, column 15", "compat: none"),
        .init("merge_method: svc\nmodels: [a]", .recipeUnknownMethod, "line 1, column 15", "post"),
        .init(
            "merge_method: ties\nmodels: [a]\noverrides: [ {match: \"*\", merge_method: nope} ]", .recipeUnknownMethod,
            "line 3, column 41", "nope"),
        .init("merge_method: linear\nmodels: [a]\npost: [svd]", .recipeUnknownMethod, "line 3, column 8", "svc"),
    ]

    static let values: [RecipeErrorCase] = [
        .init("- a\n- b\n", .recipeBadParameter, "line 1, column 1", "mapping"),
        .init("models: [a]\n", .recipeBadParameter, "line 1, column 1", "merge_method"),
        .init("merge_method: linear\n", .recipeBadParameter, "line 1, column 1", "no models"),
        .init("merge_method: linear\nmodels: a\n", .recipeBadParameter, "line 2, column 9", "a list"),
        .init("merge_method: linear\nmodels: [[a]]\n", .recipeBadParameter, "line 2, column 10", "models[0]"),
        .init("version: 2\nmerge_method: linear\nmodels: [a]", .recipeBadParameter, "line 1, column 10", "version"),
        .init("merge_method: linear\nmodels: [a]\nseed: -1", .recipeBadParameter, "line 3, column 7", "seed"),
        .init("merge_method: linear\nmodels: [a]\nseed: 1.5", .recipeBadParameter, "line 3, column 7", "1.5"),
        .init("merge_method: linear\nmodels: [a]\nmissing: skp", .recipeBadParameter, "line 3, column 10", "skip"),
        .init("merge_method: linear\nmodels: [a]\ncompat: pefd", .recipeBadParameter, "line 3, column 9", "peft"),
        .init("merge_method: linear\nmodels: [a]\noutput: {rank: 0}", .recipeBadParameter, "line 3, column 16", "rank"),
        .init(
            "merge_method: linear\nmodels: [a]\noutput: {rank: {energy: 1.5}}", .recipeBadParameter,
            "line 3, column 16", "rank"),
        .init(
            "merge_method: linear\nmodels: [a]\noutput: {dtype: float16}", .recipeBadParameter, "line 3, column 17",
            "f16"),
        .init(
            "merge_method: linear\nmodels: [a]\nlimits: {memory: 2 bananas}", .recipeBadParameter, "line 3, column 18",
            "2GiB"),
        .init(
            "merge_method: linear\nmodels: [a]\nlimits: {threads: 0}", .recipeBadParameter, "line 3, column 19",
            "threads"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {density: 1.2}", .recipeBadParameter, "line 3, column 23",
            "0...1"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {density: .nan}", .recipeBadParameter, "line 3, column 23",
            "density"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {density: abc}", .recipeBadParameter, "line 3, column 23",
            "abc"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {density: [0.1, 2]}", .recipeBadParameter,
            "line 3, column 23", "density"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {density: [0.1, x]}", .recipeBadParameter,
            "line 3, column 29", "numbers"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {elect: sim}", .recipeBadParameter, "line 3, column 21",
            "'sum'"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {elect: [1, 2]}", .recipeBadParameter, "line 3, column 21",
            "list over"),
        .init(
            "merge_method: ties\nmodels: [a]\nparameters: {rounds: 1.5}", .recipeBadParameter, "line 3, column 22",
            "whole"),
        .init(
            "merge_method: linear\nmodels: [a]\nparameters: {normalize: 1}", .recipeBadParameter, "line 3, column 25",
            "true or false"),
        .init(
            "merge_method: tsv_m\nmodels: [a]\nparameters: {k: {energy: 2}}", .recipeBadParameter, "line 3, column 17",
            "energy"),
        .init(
            "merge_method: linear\nmodels: [{model: a, parameters: {lambda: 1}}]", .recipeBadParameter,
            "line 2, column 34", "whole merge"),
        .init(
            "merge_method: linear\nmodels: [a]\nfilters: {include: [\"re:(\"]}", .recipeBadParameter,
            "line 3, column 21", "regular"),
        .init(
            "merge_method: linear\nmodels: [a]\nfilters: {include: [\"a[b\"]}", .recipeBadParameter,
            "line 3, column 21", "']'"),
        .init(
            "merge_method: linear\nmodels: [a]\nlayers: [{range: [4, 2]}]", .recipeBadParameter, "line 3, column 18",
            "range"),
        .init(
            "merge_method: linear\nmodels: [a]\nlayers: [{range: [0, 2], models: [{model: b}]}]", .recipeBadParameter,
            "line 3, column 43", "'b'"),
        .init("merge_method: linear\nmodels: [a]\nsequence: true", .recipeBadParameter, "line 3, column 11", "order"),
        .init(
            "merge_method: opcm\nmodels: [a]\nsequence: false", .recipeBadParameter, "line 3, column 11", "one after"),
        .init("merge_method: linear\nmodels: [\"stage:x\"]", .recipeBadParameter, "line 2, column 10", "no stage 'x'"),
        .init(
            "merge_method: linear\nmodels: [a]\nparameters: {lambda: {per: layer}}", .recipeBadParameter,
            "line 3, column 22", "values"),
        .init(
            "merge_method: linear\nmodels: [a]\nparameters: {lambda: {per: layer, values: {x: 1}}}",
            .recipeBadParameter, "line 3, column 44", "layer number"),
        .init(
            "merge_method: linear\nmodels: [a]\nparameters: {lambda: {filter: a, value: 1}}", .recipeBadParameter,
            "line 3, column 22", "list of entries"),
        .init("merge_method: linear\nmodels: [a]\nsearch: {over: {}}", .recipeBadParameter, "line 3, column 9", "over"),
        .init(
            "merge_method: linear\nmodels: [a]\nsearch: {over: {lambda: 1}}", .recipeBadParameter, "line 3, column 25",
            "list"),
        .init(
            "stages:\n- {name: a, merge_method: linear, models: [\"stage:b\"]}\n- {name: b, merge_method: linear, models: [\"stage:a\"]}",
            .recipeBadParameter, "line 2, column 3", "wait for one another"),
        .init(
            "stages:\n- {name: a, merge_method: linear, models: [x]}\n- {name: a, merge_method: linear, models: [x]}",
            .recipeBadParameter, "line 3, column 3", "two stages"),
        .init(
            "stages:\n- {merge_method: linear, models: [x]}\n- {name: a, merge_method: linear, models: [x]}",
            .recipeBadParameter, "line 2, column 3", "no 'name'"),
        .init("stages: []", .recipeBadParameter, "line 1, column 1", "empty"),
        .init(
            "name: a\nmerge_method: linear\nmodels: [x]\n---\nmerge_method: linear\nmodels: [\"stage:q\"]",
            .recipeBadParameter, "line 6, column 10", "no stage 'q'"),
    ]

    @Test(arguments: syntax + keys + methods + values)
    func `a wrong recipe is refused with code, place and a word that helps`(_ test: RecipeErrorCase) throws {
        let found = try #require(failure { _ = try readRecipe(test.recipe) })
        #expect(found.code == test.code)
        #expect(found.place == test.place)
        #expect((found.message + " " + (found.hint ?? "")).contains(test.mentions), "\(found)")
    }

    @Test func `a file that is too large, too deep or full of aliases is refused`() throws {
        let large = "merge_method: linear\nmodels: [a]\n# " + String(repeating: "x", count: 1 << 20)
        #expect(failure { _ = try readRecipe(large) }?.code == .recipeSyntax)
        for deep in [
            String(repeating: "[", count: 5_000), String(repeating: "{a: ", count: 5_000),
            String(repeating: "- ", count: 5_000), String(repeating: "[", count: 500_000),
        ] {
            #expect(failure { _ = try readRecipe(deep) }?.code == .recipeSyntax)
        }
        var laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let aliases = [String](repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            laughs += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let found = try #require(failure { _ = try readRecipe(laughs) })
        #expect(found.code == .recipeSyntax)
        #expect(found.message.contains("aliases"))
    }

    @Test func `deep but legal nesting that the recipe does not know is an ordinary error`() {
        let nested = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        let found = failure { _ = try readRecipe("merge_method: linear\nmodels: \(nested)") }
        #expect(found?.code == .recipeBadParameter)
    }

    @Test func `a missing file and a file that is no text are named`() throws {
        let missing = failure {
            _ = try RecipeReader(registry: TestMethods.registry).read(path: "/nowhere/recipe.yaml")
        }
        #expect(missing?.code == .ioNotFound)
        #expect(missing?.path == "/nowhere/recipe.yaml")
    }
}
