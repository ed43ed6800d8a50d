import Diagnostics
import Foundation
import Testing

@testable import Adapters

@Suite struct AdapterLocationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func code(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch let failure as Failure {
            return failure.code.name
        } catch { return "\(error)" }
    }

    private func makeAdapter(_ name: String) throws {
        try folder.write(configurationText(), name + "/adapter_config.json")
        try folder.write(linearFactors(["q"]), name + "/adapter_model.safetensors")
    }

    @Test func `every adapter folder below is found, hidden ones and those inside others are not`() throws {
        for name in ["b/two", "a", "b/one", "a/checkpoint-10", ".git/x", "c/.cache/y"] { try makeAdapter(name) }
        try folder.write("text", "c/readme.txt")
        symlink(folder.file("a"), folder.file("link"))
        let found = try AdapterLocation.discover(at: folder.path)
        #expect(found.map(\.path) == ["a", "b/one", "b/two"].map(folder.file))
        #expect(found.allSatisfy { $0.form == .folder })
        #expect(found.map(\.name) == ["a", "one", "two"])
        #expect(code { _ = try AdapterLocation.only(at: folder.path) } == "reference.ambiguous")
        #expect(try AdapterLocation.only(at: folder.file("link")).form == .folder)
        #expect(try AdapterLocation.only(at: folder.file("a/")).path == folder.file("a"))
        #expect(code { _ = try AdapterLocation.discover(at: folder.file("c")) } == "adapter.weights_missing")
        #expect(code { _ = try AdapterLocation.discover(at: folder.file("nothing")) } == "io.not_found")
    }

    @Test func `links, pipes and names that are not text are refused`() throws {
        try makeAdapter("a")
        symlink("/etc/passwd", folder.file("a/README.md"))
        #expect(code { _ = try AdapterReader.read(path: folder.file("a")) } == "path.symlink")
        try makeAdapter("b")
        mkfifo(folder.file("b/notes"), 0o600)
        #expect(code { _ = try AdapterReader.read(path: folder.file("b")) } == "path.special_file")
        try makeAdapter("c")
        symlink("nowhere", folder.file("c/.hidden"))
        #expect(try AdapterReader.read(path: folder.file("c")).modules.count == 1)
        symlink(folder.file("a/adapter_model.safetensors"), folder.file("w.safetensors"))
        #expect(code { _ = try AdapterLocation.discover(at: folder.file("w.safetensors")) } == "path.symlink")
        mkfifo(folder.file("p.safetensors"), 0o600)
        #expect(code { _ = try AdapterLocation.discover(at: folder.file("p.safetensors")) } == "path.special_file")
        try makeAdapter("d")
        let raw: [CChar] = Array((folder.path + "/d/caf").utf8CString.dropLast()) + [CChar(bitPattern: 0xE9), 0]
        close(open(raw, O_CREAT | O_WRONLY, 0o600))
        #expect(code { _ = try AdapterReader.read(path: folder.file("d")) } == "path.bad_name")
    }

    @Test(arguments: [
        ("x.safetensors", "file"), ("x.gguf", "file"), ("x.bin", "file"), ("x.tar", "archive"), ("x.zip", "archive"),
        ("x.tar.gz", "archive"), ("x", "file"),
    ])
    func `files are told apart by name or first bytes`(name: String, form: String) throws {
        try folder.write("text", name)
        #expect(try AdapterLocation.only(at: folder.file(name)).form.rawValue == form)
        try folder.write("PK\u{3}\u{4}", "renamed")
        #expect(try AdapterLocation.only(at: folder.file("renamed")).form == .archive)
    }

    @Test(arguments: [
        ("/a/vit.safetensors", "vit"), ("vit.tar.gz", "vit"), ("a/vit.TGZ", "vit"), ("a/b.c/", "b.c"), (".tar", ".tar"),
        ("x.y.zip", "x.y"),
    ])
    func `a name is proposed`(path: String, name: String) {
        #expect(AdapterLocation(path: path, form: .file).name == name)
    }

    @Test func `the files of an adapter have roles`() throws {
        try makeAdapter("a")
        for name in ["README.md", "x.py", "training_args.bin", "notes.txt", "sub/inner.txt"] {
            try folder.write("x", "a/" + name)
        }
        let files = try AdapterLocation.only(at: folder.file("a")).files()
        #expect(
            files.map { "\($0.name) \($0.role)" } == [
                "README.md card", "adapter_config.json configuration", "adapter_model.safetensors weights",
                "notes.txt other", "training_args.bin pickle", "x.py executable",
            ])
        #expect(files[3].size == 1)
    }

    @Test func `staging copies what is kept and says what is not`() throws {
        try makeAdapter("a")
        for name in ["README.md", "x.py", "training_args.bin"] { try folder.write("x", "a/" + name) }
        try FileManager.default.createDirectory(atPath: folder.file("stage"), withIntermediateDirectories: true)
        let staged = try AdapterLocation.only(at: folder.file("a")).stage(into: folder.file("stage"))
        #expect(staged.files.map(\.name) == ["README.md", "adapter_config.json", "adapter_model.safetensors"])
        #expect(staged.findings.map(\.code) == ["pickle.ignored", "file.executable_content"])
        let kept = try FileManager.default.contentsOfDirectory(atPath: folder.file("stage")).sorted()
        #expect(kept == staged.files.map(\.name))
        #expect(try AdapterReader.read(staged.location).findings.isEmpty)
        try folder.write(linearFactors(["q"]), "bare.safetensors")
        try FileManager.default.createDirectory(atPath: folder.file("stage2"), withIntermediateDirectories: true)
        let bare = try AdapterLocation.only(at: folder.file("bare.safetensors")).stage(into: folder.file("stage2"))
        #expect(bare.location == AdapterLocation(path: folder.file("stage2/bare.safetensors"), form: .file))
    }

    @Test func `a pickle alone is refused before anything is copied`() throws {
        try folder.write(configurationText(), "a/adapter_config.json")
        try folder.write("x", "a/adapter_model.bin")
        let location = try AdapterLocation.only(at: folder.file("a"))
        #expect(code { _ = try location.stage(into: folder.file("nowhere")) } == "pickle.refused")
    }

    @Test func `paths work as references without a bank`() throws {
        try makeAdapter("a")
        let library = PathLibrary()
        let found = try library.adapters(for: "a", relativeTo: folder.path)
        #expect(found.map(\.name) == ["a"])
        #expect(found[0].version == nil && found[0].reference == "a")
        #expect(try library.adapters(for: "path:" + folder.file("a"), relativeTo: "/").count == 1)
        #expect(code { _ = try library.adapters(for: "tag:x=y", relativeTo: folder.path) } == "reference.not_found")
    }
}
