import Diagnostics
import Foundation
import Testing

@testable import Adapters

@Suite struct ArchiveStagingTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// An archive in the ustar format.
    private func tar(_ members: [(name: String, content: [UInt8])]) -> Data {
        var bytes: [UInt8] = []
        for member in members {
            var header = [UInt8](repeating: 0, count: 512)
            func put(_ text: String, _ offset: Int) {
                for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
            }
            put(member.name, 0)
            put("0000644\u{0}0000000\u{0}0000000\u{0}", 100)
            put(String(repeating: "0", count: 11 - String(member.content.count, radix: 8).count), 124)
            put(String(member.content.count, radix: 8), 135 - String(member.content.count, radix: 8).count)
            put("00000000000\u{0}        0", 136)
            put("ustar\u{0}00", 257)
            let sum = header.reduce(0) { $0 + Int($1) }
            put(String(format: "%06o\u{0} ", sum), 148)
            bytes += header + member.content
            bytes += [UInt8](repeating: 0, count: (512 - member.content.count % 512) % 512)
        }
        return Data(bytes + [UInt8](repeating: 0, count: 1024))
    }

    private func adapterMembers(_ prefix: String, module: String = "q") throws -> [(name: String, content: [UInt8])] {
        let name = UUID().uuidString
        try folder.write(linearFactors([module]), name)
        let weights = try Data(contentsOf: URL(fileURLWithPath: folder.file(name)))
        return [
            (prefix + "adapter_config.json", Array(configurationText().utf8)),
            (prefix + "adapter_model.safetensors", Array(weights)),
        ]
    }

    private func write(_ members: [(name: String, content: [UInt8])]) throws -> AdapterLocation {
        let path = folder.file(UUID().uuidString + ".tar")
        try tar(members).write(to: URL(fileURLWithPath: path))
        return try AdapterLocation.only(at: path)
    }

    private func read(_ location: AdapterLocation, select: String? = nil) throws -> Adapter {
        var options = AdapterReader.Options()
        options.select = select
        options.staging = folder.path
        return try AdapterReader.read(location, options: options)
    }

    private func code(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch let failure as Failure {
            return failure.code.name
        } catch { return "\(error)" }
    }

    @Test(arguments: ["", "my-adapter/", "./", "./my-adapter/"])
    func `an adapter at the top or one folder down is found`(prefix: String) throws {
        let location = try write(try adapterMembers(prefix) + [("notes/deep/x.txt", [65])])
        #expect(location.form == .archive)
        let adapter = try read(location)
        #expect(adapter.modules.map(\.name) == ["q"])
        #expect(adapter.findings.isEmpty)
        // The mapped weights outlive the folder they were unpacked to.
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(!left.contains { $0.hasPrefix("lorabank-") })
        #expect(adapter.deltaID() == (try read(location)).deltaID())
    }

    @Test func `one of several is chosen by its folder`() throws {
        let location = try write(
            try adapterMembers("a/", module: "first") + adapterMembers("b/", module: "second")
                + adapterMembers("far/down/c/", module: "third"))
        #expect(code { _ = try read(location) } == "archive.ambiguous")
        #expect(try read(location, select: "b").modules.map(\.name) == ["second"])
        #expect(try read(location, select: "far/down/c/").modules.map(\.name) == ["third"])
        #expect(code { _ = try read(location, select: "z") } == "archive.ambiguous")
    }

    @Test func `archives without an adapter, and adapters too deep`() throws {
        let none = try write([("readme.txt", [65])])
        #expect(code { _ = try read(none) } == "adapter.weights_missing")
        let deep = try write(try adapterMembers("a/b/"))
        #expect(code { _ = try read(deep) } == "adapter.weights_missing")
        #expect(try read(deep, select: "a/b").modules.count == 1)
        let pickle = try write([
            ("adapter_config.json", Array(configurationText().utf8)), ("adapter_model.bin", [1, 2, 3]),
        ])
        #expect(code { _ = try read(pickle) } == "pickle.refused")
    }

    @Test func `hidden files are left out, programs and pickles are reported`() throws {
        let location = try write(
            try adapterMembers("m/") + [
                ("__MACOSX/m/adapter_config.json", [65]), ("m/._adapter_config.json", [65]), ("m/run.py", [65]),
                ("m/optimizer.pt", [65]), ("elsewhere/lib.so", [65]),
            ])
        let findings = try read(location).findings.map { $0.code + " " + $0.place }
        #expect(
            findings == [
                "file.executable_content run.py", "pickle.ignored optimizer.pt", "file.executable_content lib.so",
            ])
        let stage = folder.file("stage")
        try FileManager.default.createDirectory(atPath: stage, withIntermediateDirectories: true)
        let staged = try location.stage(into: stage)
        #expect(staged.files.map(\.name) == ["adapter_config.json", "adapter_model.safetensors"])
        let found = try FileManager.default.subpathsOfDirectory(atPath: stage).sorted()
        #expect(found == ["adapter", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"])
    }
}
