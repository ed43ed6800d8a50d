import Diagnostics
import Foundation
import Settings
import Testing
import Training

@testable import Evaluation

@Suite struct LoadedSuiteTests {
    private struct Names: SuiteResources {
        var folder: String
        func backboneFolder(_ name: String) -> String? { name == "tiny" ? folder + "/backbone" : nil }
        func dataFolder(_ name: String) -> String? { name == "pixels" ? folder + "/data" : nil }
        var backboneNames: [String] { ["tiny"] }
        var dataNames: [String] { ["pixels"] }
    }

    private func load(_ name: String, _ settings: String..., known: Bool = false) throws -> LoadedSuite {
        let folder = try #require(Bundle.module.resourcePath) + "/Fixtures/" + name
        let suite = try SuiteReader.read(
            path: folder + "/suite.yaml", overrides: settings.map { try SettingOverride($0) })
        return known ? try LoadedSuite(suite, resources: Names(folder: folder)) : try LoadedSuite(suite)
    }

    @Test func `backbone and data by name`() throws {
        let loaded = try load("digits", "backbone=tiny", "data.path=pixels", known: true)
        #expect(try loaded.samples().count == 61)
        let unknown = try #require(failure { try load("digits", "backbone=tinny", known: true) })
        #expect(unknown.code == .ioNotFound)
        #expect(unknown.hint == "did you mean 'tiny'?")
        #expect(unknown.path?.hasSuffix("suite.yaml") == true)
        #expect(failure { try load("digits", "data.path=pix") }?.hint?.contains("data import PATH --name pix") == true)
        #expect(failure { try load("digits", "backbone=./nowhere/there") }?.code == .ioNotFound)
    }

    @Test func `tasks of the data, of a column, written out`() throws {
        #expect(try load("digits").tasks.tasks == [[0, 1], [2, 3]])
        #expect(try load("digits").taskNames == ["task0", "task1"])
        let words = try load("words")
        #expect(words.taskNames == ["money", "food", "trips"])
        #expect(words.tasks.tasks == [[0, 1], [2, 3], [4, 5]])
        let named = try load("digits", "tasks=[{name: ends, classes: [zero, 3]}]")
        #expect(named.taskNames == ["ends"] && named.tasks.tasks == [[0, 3]])
        #expect(named.tasks.taskOfClass == [0, nil, nil, 0])
        let class9 = try #require(failure { try load("digits", "tasks=[[zreo]]") })
        #expect(class9.place == "--set tasks=[[zreo]]" && class9.hint == "did you mean 'zero'?")
        #expect(failure { try load("digits", "tasks=[[0],[0]]") }?.code == .recipeBadParameter)
        let column = try #require(failure { try load("words", "tasks=domian") })
        #expect(column.code == .dataMissing && column.hint == "did you mean 'domain'?")
    }

    @Test func `a column of the text files where meta.json has no such key`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/columns-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func write(_ name: String, _ text: String) throws {
            try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
        }
        try write("meta.json", #"{"classes": ["a", "b", "c"], "columns": ["text", "label", "mood"]}"#)
        try write("train.tsv", "x\ta\tglad\ny\tb\tsad\nz\tc\tglad\n")
        try write("test.tsv", "x\ta\tglad\n")
        let tasks = try Dataset(path: folder).tasks(column: "mood")
        #expect(tasks.map(\.name) == ["glad", "sad"])
        #expect(tasks.map(\.classes) == [[0, 2], [1]])
        #expect(failure { try Dataset(path: folder).tasks(column: "mode") }?.hint == "did you mean 'mood'?")
        try write("test.tsv", "x\ta\tsad\n")
        #expect(failure { try Dataset(path: folder).tasks(column: "mood") }?.code == .dataMalformed)
    }

    @Test func `a part of a split, class by class`() throws {
        let loaded = try load("digits", "data.per_class={skip: 2, take: 3}")
        let part = try loaded.samples()
        #expect(part.positions(classes: 4).map(\.count) == [3, 3, 3, 3])
        #expect(part.sourceIndices == part.sourceIndices.sorted())
        #expect(part.sourceIndices.prefix(4) == [8, 9, 10, 11])
        #expect(failure { try load("digits", "data.per_class={skip: 99}").samples() }?.code == .dataTooFew)
        #expect(failure { try load("digits", "data.split=val").samples() }?.code == .dataMissing)
    }

    @Test func `what does not fit together`() throws {
        let words = try #require(Bundle.module.resourcePath) + "/Fixtures/words"
        let mixed = try load("digits", "data.path=\(words)/data")
        #expect(failure { try mixed.encode(try mixed.samples()) }?.code == .backboneBadInput)
        #expect(failure { try load("digits", "feature=pooler") }?.code == .configFeatureUnsupported)
        #expect(failure { try load("digits", "input.mean=[1, 2]") }?.code == .recipeBadParameter)
        let head = try load("digits", "head={path: task0/adapter_model.safetensors}")
        #expect(failure { try Evaluator(head).evaluate([.backbone]) }?.code == .dataMissing)
        let tasks = try load("digits", "head={zero_shot: class_names}")
        #expect(failure { try Evaluator(tasks).evaluate([.backbone]) }?.place == "head.zero_shot")
        let other = try load("words", "head={path: ../digits/head.safetensors}")
        let found = try #require(failure { try Evaluator(other).evaluate([.backbone]) })
        #expect(found.code == .backboneShapeMismatch)
        #expect(found.details == ["expected": "[6, 16]", "found": "[4, 16]"])
    }
}
