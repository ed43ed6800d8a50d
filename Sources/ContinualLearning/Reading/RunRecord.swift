import Diagnostics
import Foundation
import WeightFiles

/// What one seed of a run left in its directory (cil-engine 16), as it stands there.
public struct RunRecord: Sendable {
    public var folder: String
    public var configuration: JSONValue
    public var metrics: JSONValue
    /// `accuracy_matrix.csv`: nil where undefined.
    public var matrix: [[Double?]]
    public var events: [JSONValue]
    public var invariants: [JSONValue]
    /// CSV files by name without extension.
    public var tables: [String: RunTable]

    /// - Throws: `io.not_found` for a folder that holds no run, `data.malformed`, `config.not_json` for damaged files.
    public init(folder: String) throws {
        self.folder = folder
        guard let metrics = try Self.json(folder + "/metrics.json") else {
            throw Failure(
                .ioNotFound, "there is no run here that has finished a task", path: folder,
                hint: "lorabank cil run CONFIG --run DIR")
        }
        self.metrics = metrics
        configuration = try Self.json(folder + "/config.resolved.json") ?? .null
        events = try Self.lines(folder + "/events.jsonl")
        invariants = try Self.lines(folder + "/invariants.jsonl")
        tables = [:]
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names.sorted() where name.hasSuffix(".csv") && !name.hasPrefix("predictions") {
            let text = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
            tables[String(name.dropLast(4))] = RunTable(csv: text)
        }
        matrix =
            tables["accuracy_matrix"].map { table in
                table.rows.map { row in (1..<max(1, table.columns.count)).map { table.number(row, $0) } }
            } ?? []
    }

    /// The runs of a directory: its own, or those of its `seed-…` folders, by rising seed.
    public static func all(in folder: String) throws -> [RunRecord] {
        let files = FileManager.default
        if files.fileExists(atPath: folder + "/metrics.json") { return [try RunRecord(folder: folder)] }
        let names = ((try? files.contentsOfDirectory(atPath: folder)) ?? []).compactMap { name -> (Int, String)? in
            name.hasPrefix("seed-") ? Int(name.dropFirst(5)).map { ($0, name) } : nil
        }.sorted { $0.0 < $1.0 }
        let runs = try names.filter { files.fileExists(atPath: "\(folder)/\($0.1)/metrics.json") }.map {
            try RunRecord(folder: folder + "/" + $0.1)
        }
        // Says what is missing.
        return runs.isEmpty ? [try RunRecord(folder: folder)] : runs
    }

    public var seed: Int? { metrics["seed"]?.integer ?? configuration["seed"]?.integer }
    public var structure: String { metrics["structure"]?.string ?? configuration["structure"]?.string ?? "?" }
    public var rule: String? { metrics["rule"]?.string ?? configuration["consolidation"]?["rule"]?.string }
    public var isLeaky: Bool { metrics["leaky"]?.bool ?? false }
    public var taskCount: Int { matrix.count }

    /// A number of `metrics.json`, nil where it is null or missing.
    public func number(_ name: String) -> Double? { metrics[name]?.double }

    /// A number of one of the heads of `metrics.json`.
    public func number(_ name: String, head: String) -> Double? { metrics["heads"]?[head]?[name]?.double }

    /// Accuracy over all samples of the tasks seen, by task.
    public var curve: [Double?] {
        guard let table = tables["curve"] else { return [] }
        return table.rows.map { table.number($0, table.column("acc_seen")) }
    }

    /// Forgetting after each task: of the matrix, so that every file form gives it.
    public var forgettingCurve: [Double?] {
        let rows = matrix.enumerated().map { i, row in row.prefix(i + 1).compactMap { $0 } }
        let known = rows.enumerated().allSatisfy { $0.element.count == $0.offset + 1 }
        guard known else { return [] }
        let matrix = AccuracyMatrix(rows: rows, testCounts: [Int](repeating: 1, count: rows.count))
        return rows.indices.map { matrix.forgetting(after: $0) }
    }

    private static func json(_ path: String) throws -> JSONValue? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        return try bytes.withUnsafeBytes { try StrictJSON.parse($0, .configuration, path: path) }
    }

    private static func lines(_ path: String) throws -> [JSONValue] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return try text.split(separator: "\n").enumerated().map { index, line in
            let bytes = [UInt8](line.utf8)
            do {
                return try bytes.withUnsafeBytes { try StrictJSON.parse($0, .configuration, path: path) }
            } catch let failure as Failure {
                var copy = failure
                copy.place = "line \(index + 1)"
                throw copy
            }
        }
    }
}
