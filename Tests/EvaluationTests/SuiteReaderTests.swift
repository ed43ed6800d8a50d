import Diagnostics
import Foundation
import Settings
import Testing

@testable import Evaluation

@Suite struct SuiteReaderTests {
    static let whole = """
        name: clinc150-minilm
        backbone: models/minilm
        data: { path: data/clinc150, split: test }
        input: { max_tokens: 32 }
        feature: mean
        normalize: l2
        head: { path: head_zeroshot.safetensors, scale: 20 }
        tasks: domain
        """

    private func read(_ text: String, _ settings: String...) throws -> Suite {
        try SuiteReader.read(text: text, folder: "/suites", overrides: settings.map { try SettingOverride($0) })
    }

    private func with(_ line: String, instead key: String) -> String {
        Self.whole.split(separator: "\n").map { $0.hasPrefix(key + ":") ? line : String($0) }.joined(separator: "\n")
    }

    @Test func `a whole suite`() throws {
        let suite = try read(Self.whole)
        #expect(suite.name == "clinc150-minilm")
        #expect(suite.backbone.value == "models/minilm")
        #expect(suite.data.reference.value == "data/clinc150")
        #expect(suite.data.split == .test)
        #expect(suite.input.maxTokens == 32)
        #expect(suite.feature == .mean)
        #expect(suite.normalisation == .l2)
        #expect(suite.head == .file(path: "/suites/head_zeroshot.safetensors", scale: 20))
        #expect(suite.tasks == .column("domain"))
    }

    @Test func `defaults, groups and the other heads`() throws {
        let suite = try read(
            """
            name: x
            backbone: starter
            data: { path: mnist, per_class: { skip: 3, take: 5 } }
            head: { ridge: train, lambda: 0.5, hidden: 0, features: backbone }
            tasks: [[0, 1], { name: odd, classes: [three, 5] }]
            """)
        #expect(suite.data.split == .test)
        #expect(suite.data.perClass == Suite.PerClass(skip: 3, take: 5))
        #expect(suite.normalisation == .none)
        #expect(suite.input == Suite.Input())
        guard case .fitted(let head) = suite.head, case .groups(let groups) = suite.tasks else {
            Issue.record("\(suite.head)")
            return
        }
        #expect(head.kind == .ridge && head.lambda == 0.5 && head.hidden == 0 && head.features == .backbone)
        #expect(groups.map(\.name) == [nil, "odd"])
        #expect(groups[1].classes.map(\.value) == ["three", "5"])
        #expect(try read(with("head: { linear: /h.st }", instead: "head")).head == .file(path: "/h.st", scale: 1))
        #expect(try read(with("head: { from: adapter }", instead: "head")).head == .adapter)
        #expect(try read(with("head: { from: backbone }", instead: "head")).head == .backbone)
        let image = try read(with("input: { mean: [0.1, 0.2], std: 0.3, scale: 255 }", instead: "input"))
        #expect(image.input.mean == [0.1, 0.2] && image.input.std == [0.3] && image.input.scale == 255)
    }

    @Test func `options override keys`() throws {
        let suite = try read(
            Self.whole, "data.split=val", "head={ncm: train}", "input.max_tokens=8", "tasks=[[0],[1]]")
        #expect(suite.data.split == .val)
        #expect(suite.head == .fitted(Suite.FittedHead(kind: .ncm)))
        #expect(suite.input.maxTokens == 8)
        let wrong = failure { try read(Self.whole, "feature=meen") }
        #expect(wrong?.place == "--set feature=meen")
        #expect(wrong?.hint == "did you mean 'mean'?")
    }

    static let mistakes: [(line: String, key: String, code: String, place: String, hint: String)] = [
        ("normalise: l2", "normalize", "recipe.unknown_key", "line 6, column 1", "normalize"),
        ("backbon: x", "backbone", "recipe.unknown_key", "line 2, column 1", "backbone"),
        ("data: { path: x, splitt: test }", "data", "recipe.unknown_key", "line 3, column 18", "split"),
        ("data: { path: x, split: tset }", "data", "recipe.bad_parameter", "line 3, column 25", "test"),
        ("data: { split: test }", "data", "recipe.bad_parameter", "line 1, column 1", "needs"),
        ("input: { max_token: 3 }", "input", "recipe.unknown_key", "line 4, column 10", "max_tokens"),
        ("input: { std: 0 }", "input", "recipe.bad_parameter", "line 4, column 15", ""),
        ("head: { pth: x }", "head", "recipe.unknown_key", "line 7, column 9", "path"),
        ("head: { scale: 20 }", "head", "recipe.bad_parameter", "line 7, column 7", "ncm"),
        ("head: { path: x, ncm: train }", "head", "recipe.bad_parameter", "line 7, column 7", "ncm"),
        ("head: { ncm: test }", "head", "recipe.bad_parameter", "line 7, column 14", ""),
        ("head: { ncm: train, lambda: 1 }", "head", "recipe.unknown_key", "line 7, column 21", ""),
        ("head: { from: base }", "head", "recipe.bad_parameter", "line 7, column 15", ""),
        ("head: { lda: train, shrinkage: 2 }", "head", "recipe.bad_parameter", "line 7, column 32", ""),
        ("tasks: { a: 1 }", "tasks", "recipe.bad_parameter", "line 8, column 8", ""),
        ("tasks: [{ classes: [1], nam: x }]", "tasks", "recipe.unknown_key", "line 8, column 25", "name"),
    ]

    @Test(arguments: mistakes)
    func `a mistake is named with its place`(
        line: String, key: String, code: String, place: String, hint: String
    ) throws {
        let found = try #require(failure { try read(with(line, instead: key)) })
        #expect(found.code.name == code)
        #expect(found.place == place)
        #expect(hint.isEmpty || found.hint?.contains(hint) == true, "\(found.hint ?? "none")")
    }

    @Test func `texts that are no suite`() throws {
        #expect(failure { try read("") }?.code == .recipeSyntax)
        #expect(failure { try read("- a\n- b") }?.code == .recipeBadParameter)
        #expect(failure { try read("name: a\n---\nname: b") }?.code == .recipeSyntax)
        #expect(failure { try SuiteReader.read(path: "/nowhere/suite.yaml") }?.code == .ioNotFound)
    }
}
