import Diagnostics
import Digests
import Foundation
import Tensors
import WeightFiles

/// The files of a run directory.
struct RunPaths: Sendable {
    let folder: String

    var resolved: String { folder + "/config.resolved.json" }
    var metrics: String { folder + "/metrics.json" }
    var step: String { folder + "/checkpoints/step.safetensors" }
    var adapters: String { folder + "/adapters" }
    func task(_ task: Int) -> String { folder + "/checkpoints/task-\(task).safetensors" }
    func statistics(_ task: Int) -> String { folder + "/checkpoints/statistics-\(task).safetensors" }
    /// The state before the consolidation at the end of a task.
    func pre(_ task: Int) -> String { folder + "/snapshots/pre-\(task).safetensors" }

    /// Makes the folder, or recognises a run that was begun.
    ///
    /// - Returns: whether the run was begun before.
    /// - Throws: `output.exists` when another run stands there.
    func begin(document: JSONValue, run: String) throws -> Bool {
        let files = FileManager.default
        if files.fileExists(atPath: resolved) {
            let known = try Self.read(resolved)
            guard known["run"]?.string == run else {
                throw Failure(
                    .outputExists, "the folder holds a run with other settings (\(known["run"]?.string ?? "?"))",
                    path: folder, hint: "take another folder, or lorabank cil fork to change settings of a run")
            }
            removeUnfinished()
            return true
        }
        // What this program itself makes before the first file says which run it is.
        let own: Set<String> = ["request.json", "checkpoints", "snapshots"]
        let found = (try? files.contentsOfDirectory(atPath: folder)) ?? []
        guard found.allSatisfy({ own.contains($0) || $0.hasPrefix(".") || $0.contains(".lorabank-") }) else {
            throw Failure(
                .outputExists, "the folder is not empty and holds no run", path: folder, hint: "take a new folder")
        }
        try DurableFiles.createFolders(folder + "/checkpoints")
        try DurableFiles.createFolders(folder + "/snapshots")
        try write(document, to: resolved)
        return false
    }

    /// Removes what a killed process left under temporary names.
    private func removeUnfinished() {
        let files = FileManager.default
        for place in [folder, folder + "/checkpoints", folder + "/snapshots", adapters] {
            for name in (try? files.contentsOfDirectory(atPath: place)) ?? [] where name.contains(".lorabank-") {
                try? files.removeItem(atPath: place + "/" + name)
            }
        }
        try? files.removeItem(atPath: folder + "/checkpoints/check.safetensors")
    }

    /// The newest task that was finished.
    func lastTask(of count: Int) -> Int? {
        (0..<count).last { FileManager.default.fileExists(atPath: task($0)) }
    }

    func write(_ document: JSONValue, to path: String) throws {
        try write(document.text(.indented(2), asciiOnly: false) + "\n", to: path)
    }

    func write(_ text: String, to path: String) throws {
        try AtomicFile.write(Array(text.utf8), to: path, overwrite: true)
    }

    static func read(_ path: String) throws -> JSONValue {
        let rules = StrictJSON.Rules(
            maximumDepth: 32, maximumBytes: 64 << 20, tooLarge: .ioTooLarge, notUTF8: .dataMalformed,
            notJSON: .dataMalformed, tooDeep: .dataMalformed, duplicateKey: .dataMalformed)
        return try MappedFile(path: path).withBytes { try StrictJSON.parse($0, rules, path: path) }
    }

    /// Eight hexadecimal digits of what decides the results: settings, contents of backbone and data. Where the folders
    /// stand does not.
    static func identifier(of resolved: JSONValue, parts: [String]) -> String {
        let members = (resolved.members ?? []).filter { $0.key != "backbone" && $0.key != "data" }
        let data = (resolved["data"]?.members ?? []).filter { $0.key != "path" }
        let text = JSONValue.object(members + data).text()
        return String(SHA256Digest.of(([text] + parts).joined(separator: "\n")).hex.prefix(8))
    }
}

extension RunConfiguration {
    /// True for a finished run of this configuration that left its predictions out.
    func dropsPredictions(of paths: RunPaths) -> Bool {
        guard !writesPredictions, let main = head.kinds.first else { return false }
        let files = FileManager.default
        return files.fileExists(atPath: paths.metrics)
            && !files.fileExists(atPath: paths.folder + "/" + RunLogs.predictions(main, isMain: true))
    }
}
