import Diagnostics
import Evaluation
import Foundation
import Settings
import Training

/// The classes and samples of one task.
public struct TaskData: Sendable {
    /// Class ids in the order in which they were met.
    public let classes: [Int]
    public let train: TrainSplit
    public let validation: ValSplit
    public let trainInput: EncodedSamples
    public let validationInput: EncodedSamples
}

/// The data of a run, cut into tasks: nothing of a later task is touched before its turn.
public final class TaskSequence: Sendable {
    public let loaded: LoadedSuite
    public let tasks: [TaskData]
    public let names: [String]
    /// Class ids in the order of tasks; the head's rows stand in this order.
    public let order: [Int]
    /// Classes that are too small for the wanted validation part.
    public let smallClasses: [Int]
    private let test: TestSplit
    private let testOfTask: [[Int]]

    /// - Parameter isJoint: all classes in one task.
    /// - Throws: what loading throws; `data.too_few` when a task has no training samples.
    public init(_ configuration: RunConfiguration, resources: any SuiteResources, isJoint: Bool) throws {
        loaded = try LoadedSuite(Self.suite(configuration), resources: resources)
        let dataset = loaded.dataset
        let plan = try Self.plan(configuration, loaded, isJoint: isJoint)
        names = plan.names
        order = plan.tasks.flatMap { $0 }
        var all = try dataset.train().samples
        if let limit = configuration.trainPerClass {
            let kept = all.positions(classes: dataset.classNames.count).flatMap { $0.prefix(limit) }
            all = all.selecting(kept.sorted())
        }
        let split = StratifiedSplit.holdOut(
            from: all, classes: dataset.classNames.count, fraction: configuration.validationFraction,
            minimum: configuration.validationMinimum, seed: 0x76_616C)
        smallClasses = split.smallClasses
        var tasks: [TaskData] = []
        for (index, classes) in plan.tasks.enumerated() {
            let train = Self.part(split.train.samples, classes)
            guard train.count > 0 else {
                throw Failure(.dataTooFew, "task \(index) has no training sample", path: dataset.path)
            }
            let validation = Self.part(split.validation.samples, classes)
            tasks.append(
                TaskData(
                    classes: classes, train: TrainSplit(train), validation: ValSplit(validation),
                    trainInput: try loaded.encode(train), validationInput: try loaded.encode(validation)))
        }
        self.tasks = tasks
        test = try dataset.test()
        let labels = test.read(for: "count").labels
        testOfTask = plan.tasks.map { classes in
            let wanted = Set(classes)
            return labels.indices.filter { wanted.contains(labels[$0]) }
        }
    }

    public var count: Int { tasks.count }
    public func testCount(of task: Int) -> Int { testOfTask[task].count }

    /// The test samples of tasks 0…`task`, in source order, for reports only.
    public func testData(through task: Int, for purpose: String) throws -> (LabelledSamples, EncodedSamples) {
        let wanted = testOfTask[0...task].flatMap { $0 }.sorted()
        let samples = test.read(for: purpose).selecting(wanted)
        return (samples, try loaded.encode(samples))
    }

    /// How often test data were read, by purpose.
    public var testReadings: [String: Int] { test.readingCounts.filter { $0.key != "count" } }

    /// Task of each class id.
    public var taskOfClass: [Int: Int] {
        Dictionary(uniqueKeysWithValues: tasks.enumerated().flatMap { task, data in data.classes.map { ($0, task) } })
    }

    private static func part(_ samples: LabelledSamples, _ classes: [Int]) -> LabelledSamples {
        let wanted = Set(classes)
        return samples.selecting(samples.labels.indices.filter { wanted.contains(samples.labels[$0]) })
    }

    /// Everything that reads data reads it as an evaluation does: one description, one encoder.
    private static func suite(_ configuration: RunConfiguration) throws -> Suite {
        func quoted(_ text: String) -> String { "'" + text.replacingOccurrences(of: "'", with: "''") + "'" }
        var lines = [
            "name: \(quoted(configuration.name))", "backbone: \(quoted(configuration.backbone))",
            "data: { path: \(quoted(configuration.data)), split: train }", "head: { ncm: train }",
        ]
        let input = configuration.input.sorted { $0.key < $1.key }.map { key, values in
            let texts = values.map { key == "max_tokens" ? String(Int($0)) : String($0) }
            return key + ": " + (texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]")
        }
        if !input.isEmpty { lines.append("input: { \(input.joined(separator: ", ")) }") }
        lines.append("feature: \((configuration.feature?.rawValue) ?? "cls")")
        if let column = configuration.taskColumn { lines.append("tasks: \(quoted(column))") }
        return try SuiteReader.read(text: lines.joined(separator: "\n") + "\n", folder: configuration.folder)
    }

    private static func plan(
        _ configuration: RunConfiguration, _ loaded: LoadedSuite, isJoint: Bool
    ) throws -> (names: [String], tasks: [[Int]]) {
        let dataset = loaded.dataset
        let random = configuration.classOrderSeed.map(KeyedRandom.init(seed:))
        var tasks: [[Int]]
        var names: [String]
        if let name = configuration.protocolName.flatMap(ProtocolName.init) {
            let all = Array(dataset.classNames.indices)
            let order = random.map { $0.permutation(all.count, "class-order").map { all[$0] } } ?? all
            tasks = name.tasks(order)
            names = tasks.indices.map { "task\($0)" }
        } else {
            let groups = loaded.tasks.taskOfClass
            let given = loaded.taskNames.indices.map { task in groups.indices.filter { groups[$0] == task } }
            guard !given.isEmpty else {
                throw Failure(
                    .dataMissing, "the data name no tasks", path: dataset.path,
                    hint: "say protocol: B0-Inc2, or data: { path: …, tasks: <column> }")
            }
            let order = random.map { $0.permutation(given.count, "class-order") } ?? Array(given.indices)
            tasks = order.map { given[$0] }
            names = order.map { loaded.taskNames[$0] }
        }
        if isJoint {
            tasks = [tasks.flatMap { $0 }]
            names = ["joint"]
        }
        return (names, tasks)
    }
}
