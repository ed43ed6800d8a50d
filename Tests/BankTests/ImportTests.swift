import Adapters
import Diagnostics
import Digests
import Foundation
import Testing

@testable import Bank

@Suite struct ImportTests {
    @Test func `an imported adapter has its facts, and its object the name of its bytes`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let outcome = try bank.importSample("vit-digits", tags: ["set=digits", "draft"], in: folder)
        #expect(outcome.row.reference == "vit-digits@1")
        #expect(outcome.state == .pending)
        #expect(outcome.baseModel == "tiny/base")
        #expect(outcome.format == "peft")
        #expect(!outcome.alreadyPresent)
        let row = try #require(try bank.list().first)
        #expect(row == outcome.row)
        #expect(row.rankMin == 2 && row.rankMax == 2)
        #expect(row.modules == 2)
        #expect(row.parameters == 2 * 2 * (6 + 6))
        #expect(row.dtype == "F32")
        #expect(row.tags == ["set": ["digits"], "draft": [""]])
        #expect(row.createdBy == "ada")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: bank.layout.objectFile(row.object)))
        #expect(SHA256Digest.of(Array(bytes)).hex == row.object)
        #expect(try bank.check(readData: true).isSound)
        #expect(try FileManager.default.contentsOfDirectory(atPath: bank.layout.temporary).isEmpty)
    }

    @Test func `the object holds the manifest first and the files unchanged`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let source = SampleAdapter(extraFiles: ["README.md": "# A title\n\ntext", "手書き メモ.txt": "日本語"])
        let location = try source.write(to: folder.file("src"))
        let outcome = try bank.importAdapter(location)
        let object = try bank.store.open(outcome.object)
        #expect(object.archive.members.first?.name == "manifest.json")
        #expect(
            Set(object.manifest.files.map(\.name))
                == ["adapter_config.json", "adapter_model.safetensors", "README.md", "手書き メモ.txt"])
        for file in object.manifest.files {
            let original = try Data(contentsOf: URL(fileURLWithPath: folder.file("src/" + file.name)))
            #expect(try object.archive.open(file.member).bytes.elementsEqual(original), "\(file.name)")
            #expect(file.member.utf8.allSatisfy { $0 < 0x80 })
            #expect(file.digest == SHA256Digest.of(Array(original)).hex)
        }
        #expect(object.manifest.deltaID == outcome.deltaID)
        #expect(outcome.row.title == "A title")
    }

    @Test func `the same content is one object, whatever its name`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let first = try bank.importSample("a", in: folder)
        let again = try bank.importSample("a", in: folder)
        let other = try bank.importSample("b", in: folder)
        #expect(again.alreadyPresent && again.row.reference == "a@1")
        #expect(other.alreadyPresent && other.row.reference == "b@1")
        #expect(first.object == other.object)
        #expect(bank.objectFiles.count == 1)
        #expect(try bank.list().count == 2)
        #expect(try bank.auditLog().map(\.action) == ["init", "import", "import"])
    }

    @Test func `other content under a name is the next version, and numbers are not used again`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", seed: 1, in: folder)
        #expect(try bank.importSample("a", seed: 2, in: folder).version == 2)
        try bank.remove("a@2")
        #expect(try bank.importSample("a", seed: 3, in: folder).version == 3)
        #expect(try bank.list().map(\.reference) == ["a@1", "a@3"])
        #expect(try bank.row(for: "a").version == 3)
    }

    @Test func `the same update in other files is noticed`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let first = try bank.importSample("a", in: folder)
        let location = try SampleAdapter(extraFiles: ["README.md": "more"]).write(to: folder.file("with-card"))
        let second = try bank.importAdapter(location)
        #expect(second.object != first.object)
        #expect(second.deltaID == first.deltaID)
        #expect(second.sameDelta == ["a@1"])
    }

    @Test func `names come from folders, and forbidden characters become dashes`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        for (number, (name, expected)) in [
            ("my adapter@v2", "my-adapter-v2"), ("数字アダプタ", "数字アダプタ"), ("..x", nil), ("Über", "Über"),
        ].enumerated() {
            guard let expected else { continue }
            let location = try SampleAdapter(seed: number).write(to: folder.file(name))
            #expect(try bank.importAdapter(location).name == expected)
        }
        #expect(AdapterName.proposal(from: "..x") == "x")
        let dots = AdapterLocation(path: folder.file("数字アダプタ/."), form: .folder)
        #expect(dots.name == "." && AdapterName.proposal(for: dots) == "数字アダプタ")
        #expect(AdapterName.proposal(from: "@@") == "--" || AdapterName.proposal(from: "@@") == "adapter")
    }

    @Test(arguments: [
        "", "a b", "a@1", "a:b", "a/b/c", "-a", ".a", "a\u{1B}[31m", "a=b", "a/", String(repeating: "x", count: 201),
    ])
    func `bad names are refused before anything is read`(_ name: String) throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        var options = ImportOptions()
        options.name = name
        let location = AdapterLocation(path: folder.file("nowhere"), form: .folder)
        #expect(code { _ = try bank.importAdapter(location, options: options) } == .usageBadArgument)
    }

    @Test func `namespaces separate names`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("team/a", seed: 1, in: folder)
        try bank.importSample("a", seed: 2, in: folder)
        #expect(try bank.list().map(\.reference) == ["a@1", "team/a@1"])
        #expect(try bank.row(for: "team/a@1").namespace == "team")
        #expect(try bank.row(for: "a").namespace == "local")
    }

    @Test func `pickles and folders are left out and listed`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let location = try SampleAdapter(extraFiles: ["optimizer.pt": "pickle", "train.py": "import os"])
            .write(to: folder.file("src"))
        try SampleAdapter(seed: 5).write(to: folder.file("src/checkpoint-10"))
        let outcome = try bank.importAdapter(location)
        let found = Set(outcome.findings.map { $0.code + " " + $0.place })
        #expect(found.isSuperset(of: ["pickle.ignored optimizer.pt", "file.left_out checkpoint-10/"]))
        #expect(found.contains("file.executable_content train.py"))
        let detail = try bank.show("src")
        #expect(Set(detail.files.map(\.name)) == ["adapter_config.json", "adapter_model.safetensors"])
        #expect(detail.findings.count == outcome.findings.count)
    }

    @Test func `a bare weight file needs alpha and base, and is read in place with them`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try SampleAdapter().writeWeights(to: folder.file("bare.safetensors"))
        let location = try AdapterLocation.only(at: folder.file("bare.safetensors"))
        #expect(code { _ = try bank.importAdapter(location) } == .configMissing)
        var options = ImportOptions()
        options.alpha = 4
        options.base = "tiny/base"
        let outcome = try bank.importAdapter(location, options: options)
        #expect(outcome.name == "bare")
        #expect(outcome.baseModel == "tiny/base")
        let adapter = try #require(try BankLibrary(bank).adapters(for: "bare", relativeTo: "").first).adapter
        #expect(adapter.modules.map(\.scale) == [2, 2])
        #expect(adapter.base.name == "tiny/base")
        let folderOutcome = try bank.importSample("folder", in: folder)
        #expect(folderOutcome.deltaID == outcome.deltaID)
    }

    @Test func `a refused adapter leaves nothing behind, and the error names the source`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let location = try SampleAdapter().write(to: folder.file("src"))
        let weights = folder.file("src/adapter_model.safetensors")
        let data = try Data(contentsOf: URL(fileURLWithPath: weights))
        try data.dropLast(5).write(to: URL(fileURLWithPath: weights))
        let failure = try #require(throws: Failure.self) { try bank.importAdapter(location) }
        #expect(failure.code == .safetensorsDataTruncated)
        #expect(failure.path == weights)
        #expect(try bank.list().isEmpty)
        #expect(bank.objectFiles.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: bank.layout.temporary).isEmpty)
        #expect(try bank.auditLog().count == 1)
    }

    @Test func `an adapter above the bank's limit is refused`() throws {
        let folder = try TemporaryFolder()
        let created = try folder.newBank()
        var settings = created.settings
        settings.limits.maxAdapterBytes = 100
        try settings.text.write(toFile: folder.file("bank/lorabank.toml"), atomically: true, encoding: .utf8)
        let bank = try Bank.open(folder.file("bank"))
        #expect(code { try bank.importSample("a", in: folder) } == .ioTooLarge)
    }

    @Test func `a damaged object is replaced when its content is imported again`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let outcome = try bank.importSample("a", in: folder)
        try Data("damaged".utf8).write(to: URL(fileURLWithPath: bank.layout.objectFile(outcome.object)))
        #expect(try !bank.check().isSound)
        try bank.importSample("a", in: folder)
        #expect(try bank.check(readData: true).isSound)
    }
}

@Suite struct WorkspaceTests {
    func product(_ name: String, _ parents: [LineageParent] = []) -> BankProduct {
        BankProduct(
            name: name, source: .merge, tags: [Tag(key: "merged")], parents: parents,
            recipe: RecipeRecord(
                recipe: "{\"merge_method\":\"linear\"}",
                recipeSHA: SHA256Digest.of("{\"merge_method\":\"linear\"}").hex,
                program: "lorabank 0.1.0", seed: UInt64.max, threads: 2, startedAt: "2026-01-01T00:00:00Z"))
    }

    @Test func `a merged adapter is stored with its parents and recipe`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let a = try bank.importSample("a", seed: 1, in: folder)
        let b = try bank.importSample("b", seed: 2, in: folder)
        let workspace = try bank.workspace()
        try SampleAdapter(seed: 3).write(to: workspace.folder)
        let outside = LineageParent(object: String(repeating: "0", count: 64), reference: nil, role: "base")
        let outcome = try workspace.commit(
            product(
                "m",
                [
                    LineageParent(object: a.object, reference: "a@1", weight: 0.25),
                    LineageParent(object: b.object, reference: "b@1", weight: 0.75), outside,
                ]))
        #expect(outcome.state == .pending)
        let detail = try bank.show("m")
        #expect(detail.row.source == "merge")
        #expect(detail.lineage.map(\.reference) == ["a@1", "b@1", nil])
        #expect(detail.lineage.map(\.weight) == [0.25, 0.75, nil])
        #expect(detail.lineage.allSatisfy { $0.direction == .parent })
        #expect(detail.recipe?.seed == UInt64.max)
        #expect(detail.row.tags == ["merged": [""]])
        let children = try bank.lineage(of: "a")
        #expect(children.map(\.reference) == ["m@1"] && children[0].direction == .child)
        #expect(try bank.descendants(of: "a").map(\.reference) == ["m@1"])
        #expect(!FileManager.default.fileExists(atPath: workspace.folder))
        #expect(try bank.check(readData: true).isSound)
    }

    @Test func `one parent may take part twice`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let a = try bank.importSample("a", in: folder)
        let workspace = try bank.workspace()
        try SampleAdapter(seed: 3).write(to: workspace.folder)
        let parent = LineageParent(object: a.object, reference: "a@1")
        try #expect(workspace.commit(product("m", [parent, parent])).name == "m")
        #expect(try bank.lineage(of: "m").count == 2)
    }

    @Test func `what was trained here is approved at once`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank(policy: .strict)
        let workspace = try bank.workspace()
        try SampleAdapter().write(to: workspace.folder)
        let outcome = try workspace.commit(BankProduct(name: "t", source: .trainedHere))
        #expect(outcome.state == .approved)
        #expect(try BankLibrary(bank).adapters(for: "t", relativeTo: "").count == 1)
    }

    @Test func `a dropped workspace disappears, a refused one can be mended`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        do { _ = try bank.workspace() }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bank.layout.temporary).isEmpty)
        let workspace = try bank.workspace()
        #expect(code { _ = try workspace.commit(product("m")) } != nil)
        #expect(try bank.list().isEmpty)
        try SampleAdapter().write(to: workspace.folder)
        #expect(try workspace.commit(product("m")).version == 1)
    }
}

@Suite struct PeerTests {
    @Test func `a norm far from those of its peers in the bank is a finding`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        for seed in 1...20 { try bank.importSample("peer\(seed)", seed: seed, in: folder) }
        let norms = try bank.peerNorms(base: "tiny/base", rank: 2)
        #expect(norms.keys.sorted() == ["model.layers.0.q_proj", "model.layers.0.v_proj"])
        #expect(norms.values.allSatisfy { $0.count == 20 && $0.allSatisfy { $0 > 0 } })
        #expect(try bank.peerNorms(base: "tiny/base", rank: 3).isEmpty)
        let usual = try bank.importSample("usual", seed: 99, in: folder)
        #expect(!usual.findings.contains { $0.code == "weights.outlier" })
        let location = try SampleAdapter(seed: 100, alpha: 4_000_000).write(to: folder.file("odd"))
        let odd = try bank.importAdapter(location)
        #expect(odd.findings.filter { $0.code == "weights.outlier" }.count == 2)
        #expect(try bank.find("finding:weights").map(\.name) == ["odd"])
    }
}
