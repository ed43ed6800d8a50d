import Diagnostics
import Foundation
import Testing

@testable import WeightFiles

/// The corpus of malformed and hostile inputs beside the repository, where it is there: each case of the container and
/// archive layers must give one of the codes its manifest names. The same rules are tested on built-in bytes elsewhere.
@Suite struct BadInputsCorpusTests {
    private static let generator = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
            "shared/tools/make_bad_inputs.py"
        ).path

    /// Cases that only a later layer can judge: this one has to accept them.
    private static let judgedLater: Set = ["adapter.empty", "archive.ambiguous"]

    /// Writes the corpus; nil where the generator or Python is missing.
    private static func corpus(_ scratch: Scratch) throws -> [JSONValue]? {
        guard FileManager.default.fileExists(atPath: generator) else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", generator, scratch.path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        let manifest = try MappedBytes(path: scratch("manifest.json"))
        return try StrictJSON.parse(manifest.bytes, .configuration)["cases"]?.array
    }

    @Test func `every container and archive of the corpus gives the code it must`() throws {
        let scratch = try Scratch()
        var seen = 0
        for item in try BadInputsCorpusTests.corpus(scratch) ?? [] {
            let kind = item["kind"]?.string ?? ""
            guard ["safetensors", "archive", "shards"].contains(kind), let path = item["path"]?.string else { continue }
            let codes = (item["codes"]?.array ?? []).compactMap(\.string)
            let start = Date()
            let (refusal, findings) = BadInputsCorpusTests.outcome(kind, scratch(path))
            #expect(Date().timeIntervalSince(start) < item["limits"]?["seconds"]?.double ?? 5, "\(path)")
            switch item["expect"]?.string {
            case "reject" where BadInputsCorpusTests.judgedLater.isDisjoint(with: codes):
                #expect(refusal == codes.first, "\(path): \(refusal ?? "accepted")")
            case "warn": #expect(refusal == nil && !Set(findings).isDisjoint(with: codes), "\(path)")
            default: #expect(refusal == nil && findings.isEmpty, "\(path)")
            }
            seen += 1
        }
        #expect(seen == 0 || seen >= 58)
        #expect(
            !FileManager.default.fileExists(
                atPath: (scratch.path as NSString).deletingLastPathComponent + "/lorabank-escaped"))
    }

    private static func outcome(_ kind: String, _ path: String) -> (refusal: String?, findings: [String]) {
        var findings: [Finding] = []
        let refusal = code {
            switch kind {
            case "safetensors": findings = try SafetensorsFile(path: path, followLinks: false).findings
            case "archive": findings = try ArchiveReader(path: path).list().findings
            default:
                findings =
                    try ShardedWeights(index: "adapter_model.safetensors.index.json", in: FolderSource(path: path))
                    .findings
            }
        }
        return (refusal, findings.map(\.code))
    }
}
