import Diagnostics
import Foundation
import Tensors
import WeightFiles

/// The files of a run (section 16). What a task adds is written as one part, together with its checkpoint; the files
/// that people read are put together from the parts, so that an interrupted run ends with the same bytes.
final class RunFolder {
    let path: String

    /// Files that grow line by line, with their first line (nil: none).
    static let tables: [(name: String, header: String?)] = [
        ("events.jsonl", nil), ("invariants.jsonl", nil),
        ("predictions.csv", "after_task,task,sample,true,predicted,top_logit"),
        ("ablations.csv", "after_task,moment,view,split,task,accuracy,count"),
        ("experts.csv", "after_task,expert,learning_rate,accuracy,loss,norm,count,standard_error,winner"),
        (
            "consolidation.csv",
            "after_task,slot,site,rule_norm,fast_norm,change,trunc_err,kept_energy,conflict_mass,rank"
        ),
        ("heads.csv", "after_task,head,task,accuracy,count"),
    ]

    init(path: String) { self.path = path }

    func create() throws { try DurableFiles.createFolders(path + "/checkpoints") }

    func checkpointFolder(_ task: Int) -> String { path + "/checkpoints/task-\(task)" }

    /// The number of tasks whose checkpoints are complete.
    var finishedTasks: Int {
        var count = 0
        while FileManager.default.fileExists(atPath: checkpointFolder(count) + "/state.json") { count += 1 }
        return count
    }

    func write(_ text: String, _ name: String) throws {
        try AtomicFile.write(Array(text.utf8), to: path + "/" + name, overwrite: true)
    }

    func write(_ value: JSONValue, _ name: String) throws {
        try write(value.text(.indented(2), asciiOnly: false) + "\n", name)
    }

    /// Puts the tables together from the parts of tasks 0..<`tasks`.
    func assemble(tasks: Int) throws {
        for (name, header) in Self.tables {
            var bytes: [UInt8] = header.map { Array(($0 + "\n").utf8) } ?? []
            var isEmpty = true
            for task in 0..<tasks {
                let part = checkpointFolder(task) + "/parts/" + name
                guard FileManager.default.fileExists(atPath: part) else { continue }
                let file = try MappedFile(path: part)
                bytes += Array(file.bytes)
                isEmpty = false
            }
            if !isEmpty { try AtomicFile.write(bytes, to: path + "/" + name, overwrite: true) }
        }
    }
}

/// Lines that one task adds to the tables.
struct TaskRecord {
    private(set) var lines: [String: [String]] = [:]

    mutating func add(_ table: String, _ line: String) { lines[table, default: []].append(line) }

    mutating func event(_ type: String, _ members: [JSONValue.Member]) {
        add("events.jsonl", JSONValue.object([.init("event", .string(type))] + members).text(.compact))
    }

    func write(into folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, rows) in lines.sorted(by: { $0.key < $1.key }) {
            let text = rows.joined(separator: "\n") + "\n"
            try AtomicFile.write(Array(text.utf8), to: folder + "/" + name)
        }
    }
}
