import Adapters
import Diagnostics
import Foundation
import Testing

@testable import Governance

/// One case of the corpus of malformed and hostile inputs.
struct BadInput: CustomTestStringConvertible, Sendable {
    let id: String
    let path: String
    let kind: String
    let expect: String
    let codes: [String]
    let exits: [Int32]

    var testDescription: String { id }

    static let corpus: (folder: String, cases: [BadInput])? = makeCorpus()

    private static var corpusFolder: String { NSTemporaryDirectory() + "/bad-inputs-\(getpid())" }

    private static func makeCorpus() -> (folder: String, cases: [BadInput])? {
        guard let shared = Shared.folder else { return nil }
        atexit { try? FileManager.default.removeItem(atPath: BadInput.corpusFolder) }
        let folder = corpusFolder
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", shared + "/tools/make_bad_inputs.py", folder, "--skip-slow"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        process.waitUntilExit()
        guard process.terminationStatus == 0,
            let data = FileManager.default.contents(atPath: folder + "/manifest.json"),
            let manifest = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
            let cases = manifest["cases"] as? [[String: Any]]
        else { return nil }
        return (folder, cases.compactMap(BadInput.init))
    }

    private init?(_ entry: [String: Any]) {
        guard let id = entry["id"] as? String, let path = entry["path"] as? String,
            let kind = entry["kind"] as? String, let expect = entry["expect"] as? String,
            let codes = entry["codes"] as? [String]
        else { return nil }
        (self.id, self.path, self.kind, self.expect, self.codes) = (id, path, kind, expect, codes)
        exits = ((entry["exit"] as? [Int]) ?? [(entry["exit"] as? Int) ?? 0]).map { Int32($0) }
    }

    static func cases(_ kinds: Set<String>) -> [BadInput] { corpus?.cases.filter { kinds.contains($0.kind) } ?? [] }
}

@Suite(.serialized, .enabled(if: BadInput.corpus != nil)) struct BadInputsTests {
    private func inspect(_ input: BadInput) throws -> InspectionReport {
        let folder = try #require(BadInput.corpus).folder
        var reading = AdapterReader.Options()
        reading.assumesMissing = true
        do {
            let location = try AdapterLocation.only(at: folder + "/" + input.path)
            return Inspector.inspect(location, reading: reading).report
        } catch let failure as Failure {
            return InspectionReport(findings: [], modules: [], failure: failure)
        }
    }

    @Test(arguments: BadInput.cases(["safetensors", "peft", "shards", "archive"]))
    func `an input of the corpus gets its verdict`(input: BadInput) throws {
        let report = try inspect(input)
        switch input.expect {
        case "reject":
            #expect(report.verdict == .refused)
            let failure = try #require(report.failure)
            #expect(input.codes.contains(failure.code.name), "\(failure.code.name): \(failure.message)")
            #expect(input.exits.contains(failure.code.exitStatus))
        case "warn":
            #expect(report.verdict != .refused)
            #expect(report.findings.contains { input.codes.contains($0.code) }, "\(report.findings)")
        default:
            #expect(report.verdict == .clean, "\(report.findings)")
        }
        #expect(!FileManager.default.fileExists(atPath: "lorabank-pickle-ran"))
    }

    @Test(arguments: BadInput.cases(["kohya", "mlx", "gguf"]))
    func `formats that cannot be read are refused with a reason`(input: BadInput) throws {
        let report = try inspect(input)
        let failure = try #require(report.failure)
        #expect((["config.unsupported_type"] + input.codes).contains(failure.code.name), "\(failure)")
        #expect(failure.code.errorClass == .incompatible || failure.code.errorClass == .malformed)
    }
}
