import Diagnostics
import Foundation
import WeightFiles

/// A file that a run adds lines to. A checkpoint remembers how long it was; a run that goes on from there cuts off what
/// came later, so that an interrupted run leaves the same bytes as one that was not.
final class RunLog {
    let path: String
    private let handle: FileHandle
    private(set) var length: Int

    /// - Parameters:
    ///   - heading: first line of a new file.
    ///   - length: bytes to keep of a file that exists; nil begins anew.
    /// - Throws: `io.*`, `data.malformed` when the file is shorter than it was.
    init(path: String, heading: String? = nil, keeping length: Int? = nil) throws {
        self.path = path
        if let length {
            let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int ?? 0
            guard size >= length else {
                throw Failure(
                    .dataMalformed, "the file has \(size) bytes, the checkpoint knows \(length)", path: path,
                    hint: "the run directory was changed; begin the run again")
            }
        }
        if length == nil || !FileManager.default.fileExists(atPath: path) {
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw Failure(.ioFailed, "cannot create the file", path: path)
            }
        }
        guard let handle = FileHandle(forUpdatingAtPath: path) else {
            throw Failure(.ioFailed, "cannot open the file", path: path)
        }
        self.handle = handle
        self.length = length ?? 0
        do {
            try handle.truncate(atOffset: UInt64(length ?? 0))
            try handle.seekToEnd()
        } catch {
            throw Failure(.ioFailed, "cannot cut the file: \(error)", path: path)
        }
        if self.length == 0, let heading { try add(heading) }
    }

    deinit { try? handle.close() }

    func add(_ line: String) throws {
        let data = Data((line + "\n").utf8)
        do { try handle.write(contentsOf: data) } catch {
            throw Failure(.ioFailed, "cannot write: \(error)", path: path)
        }
        length += data.count
    }

    func add(_ document: JSONValue) throws { try add(document.text()) }

    func synchronise() throws {
        do { try handle.synchronize() } catch { throw Failure(.ioFailed, "cannot write: \(error)", path: path) }
    }
}

/// The logs of one run by name.
final class RunLogs {
    /// Name and heading of each.
    static let files: [(name: String, heading: String?)] = [
        ("events.jsonl", nil), ("invariants.jsonl", nil),
        ("experts.csv", "task,expert,chosen,learning_rate_multiplier,score,loss,norm,n_val,standard_error,margin"),
        ("ablations.csv", "task,moment,view,split,head,on_task,accuracy,correct,n"),
        ("consolidation.csv", "task,from,to,rule,change,truncation_error,kept_energy,conflict_mass,site"),
        ("levels.csv", "task,level,period,steps,updates,expected"),
    ]

    private let folder: String
    private var logs: [String: RunLog] = [:]

    /// - Parameters:
    ///   - heads: further heads; each has a table of predictions.
    ///   - lengths: of a checkpoint; nil begins anew.
    init(folder: String, heads: [HeadKind], lengths: [String: Int]?) throws {
        self.folder = folder
        for (name, heading) in Self.files { try open(name, heading, lengths) }
        for (index, head) in heads.enumerated() {
            try open(Self.predictions(head, isMain: index == 0), PredictionTable().csv.trimmingNewline, lengths)
        }
    }

    static func predictions(_ head: HeadKind, isMain: Bool) -> String {
        isMain ? "predictions.csv" : "predictions.\(head.rawValue).csv"
    }

    private func open(_ name: String, _ heading: String?, _ lengths: [String: Int]?) throws {
        logs[name] = try RunLog(
            path: folder + "/" + name, heading: heading, keeping: lengths.map { $0[name] ?? 0 })
    }

    subscript(_ name: String) -> RunLog? { logs[name] }

    func add(_ name: String, _ line: String) throws { try logs[name]?.add(line) }

    func event(_ type: String, task: Int, _ members: [JSONValue.Member]) throws {
        try logs["events.jsonl"]?.add(
            .object([.init("event", .string(type)), .init("task", .integer(task))] + members))
    }

    var lengths: [String: Int] { logs.mapValues(\.length) }

    func synchronise() throws { for log in logs.values { try log.synchronise() } }
}

extension String {
    fileprivate var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
