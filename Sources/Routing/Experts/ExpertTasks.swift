import Diagnostics
import Evaluation

/// Which expert stands for which task of a suite.
public struct ExpertTasks: Sendable, Hashable {
    /// Task of each expert; nil for experts of no task.
    public let taskOfExpert: [Int?]
    /// Expert of each task; nil for tasks without one.
    public let expertOfTask: [Int?]
    let tasks: TaskMap

    init(taskOfExpert: [Int?], expertOfTask: [Int?], tasks: TaskMap) {
        self.taskOfExpert = taskOfExpert
        self.expertOfTask = expertOfTask
        self.tasks = tasks
    }

    /// - Parameters:
    ///   - names: the experts' names in the order of the mixture.
    ///   - given: task name → expert name; tasks that are not named take the expert of their own name.
    /// - Throws: `recipe.bad_parameter` for tasks and experts that there are not.
    public init(names: [(name: String, id: String)], taskNames: [String], tasks: TaskMap, given: [String: String])
        throws
    {
        self.tasks = tasks
        var expertOfTask = [Int?](repeating: nil, count: taskNames.count)
        for (task, expert) in given.sorted(by: { $0.key < $1.key }) {
            guard let place = taskNames.firstIndex(of: task) else {
                throw Failure(
                    .recipeBadParameter, "the suite has no task '\(task)'", place: "domains",
                    hint: Spelling.hint(for: task, among: taskNames) ?? "tasks: " + taskNames.joined(separator: ", "))
            }
            guard let found = names.firstIndex(where: { $0.id == expert || $0.name == expert }) else {
                throw Failure(
                    .recipeBadParameter, "no expert is called '\(expert)'", place: "domains.\(task)",
                    hint: Spelling.hint(for: expert, among: names.map(\.name)))
            }
            expertOfTask[place] = found
        }
        for (place, task) in taskNames.enumerated() where expertOfTask[place] == nil {
            expertOfTask[place] = names.firstIndex { $0.name == task || $0.name.hasSuffix("/" + task) }
        }
        self.expertOfTask = expertOfTask
        taskOfExpert = names.indices.map { expert in expertOfTask.firstIndex(of: expert) }
    }

    /// Classes of each expert's task; empty for experts of no task.
    public var classes: [[Int]] { taskOfExpert.map { $0.map { tasks.tasks[$0] } ?? [] } }

    /// The expert of a class's task.
    public func expert(ofClass label: Int) -> Int? { tasks.taskOfClass[label].flatMap { expertOfTask[$0] } }

    /// True when every expert has a task.
    public var isComplete: Bool { taskOfExpert.allSatisfy { $0 != nil } }
}
