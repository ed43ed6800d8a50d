import Adapters
import Foundation
import Merging
import Settings
import Tensors
import Testing
import Training
import WeightFiles

@testable import Evaluation

/// Real adapters with reference numbers; runs where the shared folder stands beside the package.
@Suite struct ReferenceNumbersTests {
    static let package: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()
    static let shared: String? = {
        let path = URL(fileURLWithPath: package).deletingLastPathComponent().path + "/shared"
        return FileManager.default.fileExists(atPath: path + "/adapters/vit-mnist/expected.json") ? path : nil
    }()
    static let minilm: String? = {
        let path = package + "/.build/minilm"
        return FileManager.default.fileExists(atPath: path + "/model.safetensors") ? path : nil
    }()

    /// A shipped suite with the names replaced by folders.
    private static func load(_ suite: String, backbone: String, data: String) throws -> LoadedSuite {
        try LoadedSuite(
            SuiteReader.read(
                path: package + "/recipes/suites/" + suite,
                overrides: [SettingOverride("backbone=\(backbone)"), SettingOverride("data.path=\(data)")]))
    }

    private static func golden(_ folder: String, _ entry: String) throws -> Matrix<Float> {
        let file = try SafetensorsFile(path: folder + "/golden_embeddings.safetensors")
        let view = try #require(file.view(entry), "no embeddings of \(entry)")
        return try view.floatMatrix(rows: view.shape[0], columns: view.shape[1])
    }

    /// Serves the adapters of a folder under any tag.
    private struct Folder: AdapterLibrary {
        var path: String
        var names: [String]

        func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
            try names.map {
                NamedAdapter(
                    name: $0, version: nil, object: nil, reference: $0,
                    adapter: try AdapterReader.read(path: path + "/" + $0))
            }
        }
    }

    /// What a shipped reference recipe merges.
    private func merged(_ recipe: String, _ library: Folder) throws -> Adapter {
        let recipe = try RecipeReader().read(path: Self.package + "/recipes/reference/" + recipe)
        let plan = try RecipePlanner(library: library).plan(recipe)
        let folder = FileManager.default.temporaryDirectory.path + "/reference-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        _ = try MergeEngine.run(plan.result, to: .folder(folder))
        return try AdapterReader.read(path: folder)
    }

    private func compare(
        _ loaded: LoadedSuite, _ folder: String, adapters: [String], merges: [String: Adapter] = [:]
    ) throws {
        var options = Evaluator.Options()
        options.threads = 2
        let evaluator = Evaluator(loaded, options: options)
        let samples = try loaded.samples().selecting(Array(0..<32))
        let subjects =
            try [("base", Subject.backbone)]
            + adapters.map { name in
                let adapter = try AdapterReader.read(path: folder + "/" + name)
                return ("single_" + name, Subject(label: name, kind: .adapter(adapter)))
            } + merges.map { ($0, Subject(label: $0, kind: .adapter($1))) }
        for (entry, subject) in subjects {
            let expected = try Self.golden(folder, entry)
            let found = try evaluator.features(of: subject, samples)
            #expect(found.rows == expected.rows && found.columns == expected.columns)
            let error = zip(found.elements, expected.elements).map { abs($0 - $1) }.max() ?? .infinity
            // Single entries that equal the trim threshold in single precision fall either way.
            #expect(error < (entry == "ties" ? 2e-4 : 1e-4), "\(entry): \(error)")
        }
    }

    @Test(.enabled(if: shared != nil))
    func `digits: embeddings, and the backbone's accuracy on the whole test split`() throws {
        let root = try #require(Self.shared)
        let folder = root + "/adapters/vit-mnist"
        let loaded = try Self.load(
            "mnist-vit.yaml", backbone: root + "/backbones/vit-tiny28", data: root + "/data/mnist")
        let library = Folder(path: folder, names: (0..<5).map { "task\($0)" })
        var merges: [String: Adapter] = [:]
        for name in ["uniform_average", "task_arithmetic", "ties", "tsv_m", "iso_c"] {
            merges[name] = try merged("vit-mnist/\(name).yaml", library)
        }
        try compare(loaded, folder, adapters: ["task0", "task3"], merges: merges)
        var options = Evaluator.Options()
        options.threads = 2
        let result = try Evaluator(loaded, options: options).evaluate([.backbone]).results[0]
        let text = try String(contentsOfFile: folder + "/expected.json", encoding: .utf8)
        let expected = try StrictJSON.parse(text, .configuration)
        let base = try #require(expected["results"]?["base"])
        #expect(abs(result.correctGlobal - (base["correct_global"]?.integer ?? 0)) <= 10)
        #expect(abs(try #require(result.correctLocal) - (base["correct_local"]?.integer ?? 0)) <= 10)
    }

    @Test(.enabled(if: shared != nil && minilm != nil))
    func `requests: embeddings of the text encoder`() throws {
        let root = try #require(Self.shared)
        let loaded = try Self.load(
            "clinc150-minilm.yaml", backbone: try #require(Self.minilm), data: root + "/data/clinc150")
        try compare(loaded, root + "/adapters/minilm-clinc150", adapters: ["banking"])
    }
}
