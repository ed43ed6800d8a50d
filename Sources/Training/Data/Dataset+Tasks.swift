import Diagnostics
import Tensors
import WeightFiles

extension Dataset {
    /// A group of classes.
    public struct Task: Sendable, Hashable {
        public var name: String
        /// Class ids.
        public var classes: [Int]
    }

    /// One task per value of a column: a key of the class objects in `meta.json`, else a column of the text files.
    /// Tasks stand in the order of their first class.
    ///
    /// - Throws: `data.missing` naming the columns that there are; `data.malformed` when two samples of one class
    ///   differ in the column.
    public func tasks(column: String) throws -> [Task] {
        if let values = try classValues(column) { return Self.grouped(values) }
        let values = try DatasetFiles.classValues(of: column, in: self)
        return Self.grouped(values)
    }

    private static func grouped(_ values: [String?]) -> [Task] {
        var tasks: [Task] = []
        for (id, value) in values.enumerated() {
            guard let value else { continue }
            if let index = tasks.firstIndex(where: { $0.name == value }) {
                tasks[index].classes.append(id)
            } else {
                tasks.append(Task(name: value, classes: [id]))
            }
        }
        return tasks
    }

    /// The value of a key in each class object of `meta.json`; nil when no class has it.
    private func classValues(_ key: String) throws -> [String?]? {
        let file = path + "/meta.json"
        guard
            let document = try? MappedFile(path: file).withBytes({
                try StrictJSON.parse($0, .configuration, path: file)
            })
        else { return nil }
        let values = document["classes"]?.array?.map { $0[key]?.string } ?? []
        return values.contains { $0 != nil } ? values : nil
    }
}
