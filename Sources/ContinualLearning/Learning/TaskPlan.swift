import Diagnostics
import Evaluation
import Tensors

/// The classes of a run in the order in which they come, cut into tasks.
public struct TaskPlan: Sendable, Hashable {
    public var names: [String]
    /// Class ids of the data, per task.
    public var tasks: [[Int]]
    /// All classes of the run in the order of the tasks: row i of the head belongs to `order[i]`.
    public let order: [Int]
    /// Place of each class of the data in `order`, nil outside every task.
    public let rowOfClass: [Int?]
    /// Task of each row.
    public let taskOfRow: [Int]
    private let starts: [Int]

    public init(names: [String], tasks: [[Int]], classes: Int) {
        self.names = names
        self.tasks = tasks
        order = tasks.flatMap { $0 }
        var rows = [Int?](repeating: nil, count: classes)
        for (row, label) in order.enumerated() { rows[label] = row }
        rowOfClass = rows
        taskOfRow = tasks.enumerated().flatMap { task, members in members.map { _ in task } }
        var starts = [0]
        for task in tasks { starts.append((starts.last ?? 0) + task.count) }
        self.starts = starts
    }

    public var count: Int { tasks.count }
    /// Rows of the head that belong to a task.
    public func rows(of task: Int) -> Range<Int> { starts[task]..<starts[task + 1] }
    /// Number of classes of tasks 0…t.
    public func seen(after task: Int) -> Int { starts[task + 1] }

    /// The tasks of a configuration on its data.
    ///
    /// With `protocol`, the classes are permuted by `seeds.class_order` and cut. Without, the data's tasks are kept
    /// whole, and a class order seed permutes the tasks.
    /// - Throws: `recipe.bad_parameter` when the data have no tasks and no protocol is given, or it does not fit.
    public init(_ configuration: RunConfiguration, loaded: LoadedSuite) throws {
        let classes = loaded.dataset.classNames.count
        var names = loaded.taskNames
        var tasks = loaded.tasks.tasks
        if let (first, increment) = configuration.taskProtocol {
            var order = Array(0..<classes)
            if let seed = configuration.classOrderSeed {
                order = Permutation.of(classes, CounterRandom(seed: seed, stream: "class-order"))
            }
            guard first < classes, increment <= classes else {
                throw Failure(
                    .recipeBadParameter, "the protocol takes more classes than the \(classes) of the data",
                    place: "protocol")
            }
            tasks = Self.cut(order, first: first, increment: increment)
            names = tasks.indices.map { "task\($0)" }
        } else if let seed = configuration.classOrderSeed {
            let order = Permutation.of(tasks.count, CounterRandom(seed: seed, stream: "class-order"))
            tasks = order.map { tasks[$0] }
            names = order.map { names[$0] }
        }
        guard !tasks.isEmpty, tasks.allSatisfy({ !$0.isEmpty }) else {
            throw Failure(
                .recipeBadParameter, "the data name no tasks", path: loaded.dataset.path, place: "protocol",
                hint: "protocol: B0-Inc2, or tasks: [[0, 1], [2, 3]]")
        }
        if configuration.structure == .joint {
            tasks = [tasks.flatMap { $0 }]
            names = ["all"]
        }
        self.init(names: names, tasks: tasks, classes: classes)
    }

    private static func cut(_ order: [Int], first: Int, increment: Int) -> [[Int]] {
        var tasks: [[Int]] = first > 0 ? [Array(order[..<first])] : []
        var place = first
        while place < order.count {
            tasks.append(Array(order[place..<min(place + increment, order.count)]))
            place += increment
        }
        return tasks
    }
}

/// Random orders from a counter-based stream.
enum Permutation {
    /// Fisher–Yates over 0..<count.
    static func of(_ count: Int, _ random: CounterRandom) -> [Int] {
        var result = Array(0..<count)
        for index in stride(from: count - 1, to: 0, by: -1) {
            let draw = UInt64(random.word(UInt64(count - 1 - index))) * UInt64(index + 1) >> 32
            result.swapAt(index, Int(draw))
        }
        return result
    }
}
