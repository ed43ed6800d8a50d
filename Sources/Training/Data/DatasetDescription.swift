import Diagnostics
import Tensors
import WeightFiles

/// A class of a data set as `meta.json` lists it.
public struct ClassDescription: Sendable, Hashable {
    public var name: String
    /// Group that the class belongs to (CLINC150: domain, Omniglot: alphabet); nil when there is none.
    public var group: String?
}

/// The `meta.json` of a data folder: classes in label order, tasks, value range.
public struct DatasetDescription: Sendable, Hashable {
    public var classes: [ClassDescription]
    /// Class ids of each task; empty when the data set has no tasks.
    public var tasks: [[Int]]
    public var taskNames: [String]
    /// Columns of text files, e.g. `text`, `intent`, `domain`.
    public var columns: [String]
    /// Smallest and largest pixel value.
    public var valueRange: ClosedRange<Int>

    /// Which keys of a class object may name it and its group, in order of preference.
    private static let nameKeys = ["name", "intent", "label", "character"]
    private static let groupKeys = ["domain", "alphabet", "group", "task"]

    /// - Throws: `data.malformed` naming the key.
    public init(path: String) throws {
        let rules = StrictJSON.Rules(
            maximumDepth: 32, maximumBytes: 16 << 20, tooLarge: .ioTooLarge, notUTF8: .dataMalformed,
            notJSON: .dataMalformed, tooDeep: .dataMalformed, duplicateKey: .dataMalformed)
        let document = try MappedFile(path: path).withBytes { try StrictJSON.parse($0, rules, path: path) }
        guard let entries = document["classes"]?.array, !entries.isEmpty else {
            throw Failure(.dataMalformed, "'classes' must be a list", path: path, place: "classes")
        }
        classes = try entries.enumerated().map { try Self.classDescription($1, index: $0, path: path) }
        columns = document["columns"]?.array?.compactMap(\.string) ?? ["text", "label"]
        let range = document["value_range"]?.array?.compactMap(\.integer) ?? [0, 255]
        guard range.count == 2, range[0] < range[1], range[0] >= 0, range[1] <= 255 else {
            throw Failure(.dataMalformed, "'value_range' must be two bytes in order", path: path, place: "value_range")
        }
        valueRange = range[0]...range[1]
        (tasks, taskNames) = try Self.tasks(document["tasks"], classes: classes, path: path)
    }

    public init(classes: [ClassDescription], tasks: [[Int]] = [], taskNames: [String] = [], columns: [String] = []) {
        self.classes = classes
        self.tasks = tasks
        self.taskNames = taskNames
        self.columns = columns
        self.valueRange = 0...255
    }

    private static func classDescription(_ value: JSONValue, index: Int, path: String) throws -> ClassDescription {
        if let name = value.string { return ClassDescription(name: name, group: nil) }
        let id = value["id"]?.integer
        guard value.members != nil, id == nil || id == index else {
            throw Failure(
                .dataMalformed, "classes must be names or objects in the order of their ids", path: path,
                place: "classes[\(index)]")
        }
        let name = nameKeys.lazy.compactMap { value[$0]?.string }.first ?? "\(index)"
        return ClassDescription(name: name, group: groupKeys.lazy.compactMap { value[$0]?.string }.first)
    }

    /// Tasks as lists of ids, as objects with `name` and `classes`, or, when absent, the groups of the classes.
    private static func tasks(_ value: JSONValue?, classes: [ClassDescription], path: String) throws
        -> ([[Int]], [String])
    {
        guard let entries = value?.array else { return groups(of: classes) }
        var tasks: [[Int]] = []
        var names: [String] = []
        for (index, entry) in entries.enumerated() {
            let list = entry.array ?? entry["classes"]?.array
            let ids = list?.compactMap { item in
                item.integer ?? classes.firstIndex { $0.name == item.string }
            }
            guard let ids, ids.count == list?.count, ids.allSatisfy({ (0..<classes.count).contains($0) }) else {
                if let name = entry.string, let group = group(name, of: classes) {
                    tasks.append(group)
                    names.append(name)
                    continue
                }
                throw Failure(
                    .dataMalformed, "a task must list classes of this data set", path: path, place: "tasks[\(index)]")
            }
            tasks.append(ids)
            names.append(entry["name"]?.string ?? commonGroup(ids, classes) ?? "task\(index)")
        }
        return (tasks, names)
    }

    private static func commonGroup(_ ids: [Int], _ classes: [ClassDescription]) -> String? {
        let groups = Set(ids.map { classes[$0].group })
        return groups.count == 1 ? groups.first ?? nil : nil
    }

    private static func group(_ name: String, of classes: [ClassDescription]) -> [Int]? {
        let ids = classes.indices.filter { classes[$0].group == name }
        return ids.isEmpty ? nil : ids
    }

    /// One task per group, in the order of first appearance.
    static func groups(of classes: [ClassDescription]) -> ([[Int]], [String]) {
        var names: [String] = []
        for name in classes.compactMap(\.group) where !names.contains(name) { names.append(name) }
        return (names.map { group($0, of: classes) ?? [] }, names)
    }
}
