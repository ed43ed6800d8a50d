import ContinualLearning
import Diagnostics
import Evaluation
import Foundation
import Settings
import WeightFiles

/// `cil run` and `cil resume`: configuration → one run per seed → tables, adapters, bank.
struct CilWork {
    let session: Session
    /// Adapters go into the bank.
    let enters: Bool

    /// Where a run directory keeps what was asked for, so that `resume` needs nothing else.
    static let requestName = "request.json"

    func start(
        _ config: String, overrides: [String], folder: String, replacing: Bool, dryRun: Bool
    ) throws {
        let configuration = try RunConfigurationReader.read(
            path: config, overrides: overrides.map { try SettingOverride($0) })
        if dryRun {
            for key in configuration.unusedKeys { session.note("the key '\(key)' has no effect here") }
            session.result(.document("cil", [.init("run", .string(folder)), .init("dry_run", .bool(true))])) {
                "would run \(configuration.structure.rawValue) with \(configuration.trainSeeds.count) seeds into "
                    + "\(session.shown(folder))\n"
            }
            return
        }
        let files = FileManager.default
        let found = try? files.contentsOfDirectory(atPath: folder)
        if files.fileExists(atPath: folder + "/" + Self.requestName) {
            guard replacing else {
                throw Failure(
                    .outputExists, "a run is there already", path: folder,
                    hint: "lorabank cil resume \(folder), or add --force to begin anew")
            }
            try files.removeItem(atPath: folder)
        } else if let found, !found.isEmpty {
            throw Failure(.outputExists, "the folder is not empty and holds no run", path: folder)
        }
        let loaded = try load(configuration)
        var settled = configuration
        settled.suite = loaded.suite
        try writeRequest(settled, loaded, folder: folder)
        do {
            try carryOut(settled, loaded, folder: folder)
        } catch {
            forget(folder, keepingFolder: found != nil)
            throw error
        }
    }

    /// Removes a request whose run never began: there is nothing to resume.
    private func forget(_ folder: String, keepingFolder: Bool) {
        let files = FileManager.default
        guard (try? files.contentsOfDirectory(atPath: folder)) == [Self.requestName] else { return }
        try? files.removeItem(atPath: keepingFolder ? folder + "/" + Self.requestName : folder)
    }

    private func writeRequest(_ configuration: RunConfiguration, _ loaded: LoadedSuite, folder: String) throws {
        try DurableFiles.createFolders(folder)
        let resolved = try configuration.resolved(backbone: loaded.backboneFolder, data: loaded.dataset.path)
        let request = JSONValue.object([
            .init("schema", .string("lorabank.cil-request/1")),
            .init("base", .string(configuration.suite.backbone.value)), .init("configuration", resolved),
        ])
        try AtomicFile.write(
            Array((request.text(.indented(2)) + "\n").utf8), to: folder + "/" + Self.requestName, overwrite: true)
    }

    func resume(_ folder: String) throws {
        let (configuration, loaded) = try Self.request(of: folder, session)
        try carryOut(configuration, loaded, folder: folder)
    }

    /// The configuration of a run directory.
    static func request(of folder: String, _ session: Session) throws -> (RunConfiguration, LoadedSuite) {
        let path = folder + "/" + requestName
        guard FileManager.default.fileExists(atPath: path) else {
            throw Failure(
                .ioNotFound, "this is no run directory", path: folder, hint: "lorabank cil run CONFIG --run DIR")
        }
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let request = try StrictJSON.parse(bytes, .configuration, path: path)
        guard let resolved = request["configuration"] else {
            throw Failure(.dataMalformed, "the request names no configuration", path: path)
        }
        // JSON is YAML: the resolved configuration is read as any other.
        var configuration = try RunConfigurationReader.read(text: resolved.text(), folder: folder)
        let loaded = try LoadedSuite(configuration.suite, resources: SessionResources(session))
        if let base = request["base"]?.string { configuration.suite.backbone.value = base }
        return (configuration, loaded)
    }

    private func load(_ configuration: RunConfiguration) throws -> LoadedSuite {
        try LoadedSuite(configuration.suite, resources: SessionResources(session))
    }

    static func folder(_ folder: String, seed: UInt64, of configuration: RunConfiguration) -> String {
        configuration.trainSeeds.count == 1 ? folder : "\(folder)/seed-\(seed)"
    }

    var options: ContinualRun.Options {
        var options = ContinualRun.Options()
        options.threads = session.threads
        options.progress = session.progress
        options.isCancelled = { Interruption.isRequested }
        options.program = "lorabank \(LoRABank.version)"
        let session = session
        options.note = { session.note($0) }
        return options
    }

    func carryOut(_ configuration: RunConfiguration, _ loaded: LoadedSuite, folder: String) throws {
        if configuration.selection.split == .test {
            session.warn("selection.split is test: the winner is chosen on test data, and the run is marked leaky")
        }
        var outcomes: [RunOutcome] = []
        var adapters: [String] = []
        for seed in configuration.trainSeeds {
            let began = Date()
            let run = try ContinualRun(
                configuration.with(trainSeed: seed), loaded: loaded,
                folder: Self.folder(folder, seed: seed, of: configuration), options: options)
            var outcome = try Interruption.cooperatively { try run.run() }
            let exported = try run.exportAdapters()
            if enters { adapters += try CilAdapters(session: session).enter(exported, outcome) }
            outcome.seconds = Date().timeIntervalSince(began)
            outcomes.append(outcome)
        }
        let document = CilOutcome(configuration: configuration, folder: folder, runs: outcomes, adapters: adapters)
        session.result(document.document) { document.text(session) }
    }

    /// Begins a run in the middle of another.
    func fork(_ source: String, task: Int, folder: String, overrides: [String]) throws {
        let (old, _) = try Self.request(of: source, session)
        let path = source + "/" + Self.requestName
        let request = try StrictJSON.parse(
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))), .configuration, path: path)
        let text = (request["configuration"] ?? .null).text()
        var configuration = try RunConfigurationReader.read(
            text: text, folder: source, overrides: overrides.map { try SettingOverride($0) })
        guard configuration.trainSeeds.count == 1, old.trainSeeds.count == 1 else {
            throw Failure(
                .usageBadArgument, "a fork continues one seed", place: "seeds.train",
                hint: "fork one of the folders seed-N of the run")
        }
        let loaded = try load(configuration)
        configuration.suite.backbone.value = old.suite.backbone.value
        if let found = try? FileManager.default.contentsOfDirectory(atPath: folder), !found.isEmpty {
            throw Failure(.outputExists, "the folder is not empty", path: folder)
        }
        try writeRequest(configuration, loaded, folder: folder)
        let run: ContinualRun
        do {
            run = try RunFork.start(
                from: source, task: task, configuration: configuration, loaded: loaded, folder: folder,
                options: options)
        } catch {
            // The folder was empty, and half a fork is no run.
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
        let outcome = try Interruption.cooperatively { try run.run() }
        let exported = try run.exportAdapters()
        let adapters = enters ? try CilAdapters(session: session).enter(exported, outcome) : []
        let document = CilOutcome(configuration: configuration, folder: folder, runs: [outcome], adapters: adapters)
        session.result(document.document) { document.text(session) }
    }
}
