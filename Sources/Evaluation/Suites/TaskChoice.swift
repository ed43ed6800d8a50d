import Diagnostics
import Training

/// Turns the `tasks` of a suite into class ids.
struct TaskChoice {
    let names: [String]
    let classes: [[Int]]

    init(suite: Suite, dataset: Dataset) throws {
        switch suite.tasks {
        case .ofData:
            names = dataset.description.taskNames
            classes = dataset.description.tasks
        case .column(let column):
            do {
                let tasks = try dataset.tasks(column: column)
                names = tasks.map(\.name)
                classes = tasks.map(\.classes)
            } catch var failure as Failure {
                failure.place = suite.tasksPlace.description
                failure.path = nil
                throw failure
            }
        case .groups(let groups):
            names = groups.enumerated().map { $1.name ?? "task\($0)" }
            classes = try Self.ids(groups, dataset.classNames)
        }
        if let twice = names.first(where: { name in names.filter { $0 == name }.count > 1 }) {
            throw Failure(
                .recipeBadParameter, "two tasks are called '\(twice)'", place: suite.tasksPlace.description)
        }
    }

    /// A name of a class, else its number.
    private static func ids(_ groups: [Suite.Group], _ classNames: [String]) throws -> [[Int]] {
        let known = Dictionary(classNames.enumerated().map { ($1, $0) }) { first, _ in first }
        var owner: [Int: Int] = [:]
        return try groups.enumerated().map { task, group in
            try group.classes.map { item in
                guard let id = known[item.value] ?? Int(item.value), classNames.indices.contains(id) else {
                    throw Failure(
                        .recipeBadParameter, "the data have no class '\(item.value)'", place: item.place.description,
                        hint: Spelling.hint(for: item.value, among: classNames)
                            ?? "classes are named, or numbered from 0 to \(classNames.count - 1)")
                }
                guard owner.updateValue(task, forKey: id) == nil else {
                    throw Failure(
                        .recipeBadParameter, "class '\(item.value)' stands in two tasks, or twice in one",
                        place: item.place.description)
                }
                return id
            }
        }
    }
}
