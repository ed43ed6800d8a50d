import Bank
import ContinualLearning
import Diagnostics
import Foundation
import Settings
import WeightFiles

/// `cil run` and `cil resume`: configuration → one engine run per seed → tables, adapters, bank.
struct CilWork {
    let session: Session
    /// Adapters go into the bank.
    let enters: Bool

    /// Where a run directory keeps what was asked for, so that `resume` needs nothing else.
    private static let requestName = "request.json"

    func start(
        _ config: String, overrides: [String], folder: String, replacing: Bool, dryRun: Bool
    ) throws {
        let configuration = try RunConfigurationReader.read(
            path: config, overrides: overrides.map { try SettingOverride($0) })
        if dryRun {
            session.result(.document("cil", [.init("run", .string(folder)), .init("dry_run", .bool(true))])) {
                "would run \(configuration.structure.rawValue) with \(configuration.seeds.count) seeds into \(folder)\n"
            }
            return
        }
        let files = FileManager.default
        if files.fileExists(atPath: folder + "/" + Self.requestName) {
            guard replacing else {
                throw Failure(
                    .outputExists, "a run is there already", path: folder,
                    hint: "lorabank cil resume \(folder), or add --force to begin anew")
            }
            for name in ["checkpoints"] + configuration.seeds.map({ "seed-\($0)" }) {
                let path = folder + "/" + name
                if files.fileExists(atPath: path) { try files.removeItem(atPath: path) }
            }
        }
        try DurableFiles.createFolders(folder)
        let request = JSONValue.object([
            .init("schema", .string("lorabank.cil-request/1")), .init("config", .string(absolute(config))),
            .init("set", .array(overrides.map(JSONValue.string))),
        ])
        try AtomicFile.write(
            Array((request.text(.indented(2)) + "\n").utf8), to: folder + "/" + Self.requestName, overwrite: true)
        try carryOut(configuration, folder: folder)
    }

    func resume(_ folder: String) throws {
        let path = folder + "/" + Self.requestName
        guard FileManager.default.fileExists(atPath: path) else {
            throw Failure(
                .ioNotFound, "this is no run directory", path: folder, hint: "lorabank cil run CONFIG --run DIR")
        }
        let request = try MappedJSON.read(path)
        guard let config = request["config"]?.string else {
            throw Failure(.dataMalformed, "the request names no configuration", path: path)
        }
        let overrides = (request["set"]?.array ?? []).compactMap(\.string)
        let configuration = try RunConfigurationReader.read(
            path: config, overrides: overrides.map { try SettingOverride($0) })
        try carryOut(configuration, folder: folder)
    }

    private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    private func carryOut(_ configuration: RunConfiguration, folder: String) throws {
        if configuration.selection.usesTest {
            session.warn("selection.split is test: the winner is chosen on test data, and the run is marked leaky")
        }
        var outcomes: [RunOutcome] = []
        var adapters: [String] = []
        for seed in configuration.seeds {
            let path = configuration.seeds.count == 1 ? folder : folder + "/seed-\(seed)"
            let outcome = try Interruption.cooperatively {
                try EngineRun(
                    configuration, seed: seed, folder: path, resources: SessionResources(session),
                    threads: session.threads, progress: session.progress,
                    isCancelled: { Interruption.isRequested }
                ).run()
            }
            outcomes.append(outcome)
            if enters { adapters += try CilAdapters(session: session, configuration: configuration).enter(outcome) }
        }
        let document = CilOutcome(configuration: configuration, folder: folder, runs: outcomes, adapters: adapters)
        session.result(document.document) { document.text(session) }
    }
}

/// Reads small JSON files of the program's own making.
enum MappedJSON {
    static func read(_ path: String) throws -> JSONValue {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return try data.withUnsafeBytes { try StrictJSON.parse($0, .configuration, path: path) }
    }
}
