import Foundation
import Testing
import WeightFiles

/// The corpus of hostile and malformed inputs, where it lies beside the package and Python can write it.
@Suite(.serialized) struct CorpusTests {
    private struct Case {
        var id: String
        var path: String
        var kind: String
        var expectation: String
        var codes: Set<String>
        var exits: [Int]
        var seconds: Double
    }

    private static let kinds: Set<String> = ["safetensors", "peft", "archive", "shards"]
    private static let script = Tool.package + "/../shared/tools/make_bad_inputs.py"

    private static func cases(in folder: String) throws -> [Case] {
        let text = try String(contentsOfFile: folder + "/manifest.json", encoding: .utf8)
        let manifest = try StrictJSON.parse(text, .configuration)
        return (manifest["cases"]?.array ?? []).map { entry in
            let exits = entry["exit"]?.array?.compactMap(\.integer) ?? [entry["exit"]?.integer ?? -1]
            return Case(
                id: entry["id"]?.string ?? "", path: folder + "/" + (entry["path"]?.string ?? ""),
                kind: entry["kind"]?.string ?? "", expectation: entry["expect"]?.string ?? "",
                codes: Set(entry["codes"]?.array?.compactMap(\.string) ?? []), exits: exits,
                seconds: entry["limits"]?["seconds"]?.double ?? 10)
        }.filter { kinds.contains($0.kind) }
    }

    @Test func `every case is refused, warned about or accepted as the manifest says`() throws {
        guard FileManager.default.fileExists(atPath: Self.script) else { return }
        let scratch = try Scratch()
        let corpus = scratch.folder + "/corpus"
        let python = Process()
        python.executableURL = URL(filePath: "/usr/bin/env")
        python.arguments = ["python3", Self.script, corpus]
        python.standardError = FileHandle.nullDevice
        try python.run()
        python.waitUntilExit()
        guard python.terminationStatus == 0 else { return }
        let cases = try Self.cases(in: corpus)
        #expect(cases.count > 60)
        let before = try Self.names(in: scratch.folder)
        for item in cases {
            try inspect(item, scratch)
            if item.kind != "safetensors" { try importing(item, scratch) }
        }
        let after = try Self.names(in: scratch.folder)
        #expect(after.subtracting(before).allSatisfy { $0.hasPrefix("bank") }, "something was written outside the bank")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder + "/bank/tmp").isEmpty)
        try scratch.succeed("check", "--read-data")
    }

    /// Everything below a folder, except the corpus's own files and the captured output.
    private static func names(in folder: String) throws -> Set<String> {
        Set(try FileManager.default.subpathsOfDirectory(atPath: folder).filter { !$0.hasPrefix(".") })
    }

    private func inspect(_ item: Case, _ scratch: Scratch) throws {
        let outcome = try scratch.run("inspect", item.path, "--json")
        check(item, outcome, "inspect")
        let report = try outcome.json()["reports"]?[0]
        let findings = report?["findings"]?.array ?? []
        switch item.expectation {
        case "reject":
            #expect(item.codes.contains(report?["error"]?["code"]?.string ?? ""), "\(item.id): \(outcome.errors)")
        case "warn":
            let found = Set(findings.compactMap { $0["code"]?.string })
            #expect(!found.isDisjoint(with: item.codes), "\(item.id): \(found)")
        default: #expect(!findings.contains { $0["level"]?.string != "info" }, "\(item.id): \(findings)")
        }
    }

    private func importing(_ item: Case, _ scratch: Scratch) throws {
        let outcome = try scratch.run("import", item.path, "--json", "--name", item.id)
        check(item, outcome, "import")
        let document = try outcome.json()
        if item.expectation == "reject" {
            #expect(document["adapters"]?.array?.isEmpty == true, "\(item.id)")
            #expect(item.codes.contains(document["errors"]?[0]?["code"]?.string ?? ""), "\(item.id): \(outcome.errors)")
        } else {
            #expect(document["adapters"]?.array?.count == 1, "\(item.id): \(outcome.errors)")
        }
    }

    private func check(_ item: Case, _ outcome: Tool.Outcome, _ command: String) {
        #expect(
            item.exits.contains(Int(outcome.status)),
            "\(command) \(item.id): status \(outcome.status), \(outcome.errors)")
        #expect(outcome.seconds < max(10, 2 * item.seconds), "\(command) \(item.id) took \(outcome.seconds) s")
        #expect(outcome.peakBytes < 512 << 20, "\(command) \(item.id) needed \(outcome.peakBytes >> 20) MiB")
        for text in [outcome.output, outcome.errors] {
            #expect(!text.contains("\u{1B}"), "\(command) \(item.id) printed an escape character")
        }
    }
}
