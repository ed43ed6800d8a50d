import Diagnostics
import Digests
import Evaluation
import Training

/// The data of a run, split once: training and validation samples by task, test samples behind their own type.
final class DataSplits: Sendable {
    let plan: TaskPlan
    private let train: [LabelledSamples]
    private let validation: [LabelledSamples]
    private let test: TestSplit
    /// Class ids with fewer validation samples than asked for.
    let smallClasses: [Int]
    /// Contents that stand in the training part and in the test part.
    let duplicates: Int
    let trainHash: String
    let testHash: String

    /// - Throws: what reading the data throws; `data.too_few` when a class has no training samples.
    init(_ configuration: RunConfiguration, loaded: LoadedSuite, plan: TaskPlan) throws {
        self.plan = plan
        let classes = loaded.dataset.classNames.count
        let all = try loaded.dataset.train().samples
        let wanted = Self.firstOfClass(all, classes: classes, plan: plan) { available in
            guard let count = configuration.data.trainPerClass else { return available }
            // Validation samples are held out on top, as far as there are any.
            return min(available, count + Self.heldOut(count, configuration))
        }
        let outcome = StratifiedSplit.holdOut(
            from: wanted, classes: classes, fraction: Self.fraction(configuration), minimum: configuration.valMinimum,
            seed: configuration.seed)
        smallClasses = configuration.valMinimum > 0 || configuration.valFraction > 0 ? outcome.smallClasses : []
        let trainAll = outcome.train.samples
        let positions = trainAll.positions(classes: classes)
        if let empty = plan.order.first(where: { positions[$0].isEmpty }) {
            throw Failure(
                .dataTooFew, "class '\(loaded.dataset.classNames[empty])' has no training sample",
                path: loaded.dataset.path)
        }
        train = Self.byTask(trainAll, plan)
        validation = Self.byTask(outcome.validation.samples, plan)
        let testAll = Self.firstOfClass(
            try loaded.dataset.test().read(for: "split by task"), classes: classes, plan: plan
        ) { available in min(available, configuration.data.testPerClass ?? available) }
        test = TestSplit(testAll)
        let seen = Set((0..<wanted.count).map { wanted.digest(of: $0).hex })
        duplicates = (0..<testAll.count).count { seen.contains(testAll.digest(of: $0).hex) }
        trainHash = wanted.contentHash.hex
        testHash = testAll.contentHash.hex
    }

    private static func heldOut(_ count: Int, _ configuration: RunConfiguration) -> Int {
        max(configuration.valMinimum, Int((configuration.valFraction * Double(count)).rounded(.up)))
    }

    /// With `train_per_class: n`, n_val is a share of n, held out of n + n_val.
    private static func fraction(_ configuration: RunConfiguration) -> Double {
        guard let count = configuration.data.trainPerClass else { return configuration.valFraction }
        let held = Double(heldOut(count, configuration))
        // A hair less than the exact share, so that rounding up does not add a sample.
        return held / (Double(count) + held) * (1 - 1e-9)
    }

    private static func firstOfClass(
        _ samples: LabelledSamples, classes: Int, plan: TaskPlan, _ count: (Int) -> Int
    ) -> LabelledSamples {
        let positions = samples.positions(classes: classes)
        return samples.selecting(plan.order.flatMap { positions[$0].prefix(count(positions[$0].count)) }.sorted())
    }

    private static func byTask(_ samples: LabelledSamples, _ plan: TaskPlan) -> [LabelledSamples] {
        plan.tasks.map { classes in
            let members = Set(classes)
            return samples.selecting((0..<samples.count).filter { members.contains(samples.labels[$0]) })
        }
    }

    // MARK: Access

    func train(_ task: Int) -> TrainSplit { TrainSplit(train[task]) }
    func validation(_ task: Int) -> ValSplit { ValSplit(validation[task]) }

    /// Test samples of a task; each reading is counted under its purpose.
    func test(_ task: Int, for purpose: String) -> LabelledSamples {
        Self.byTask(test.read(for: purpose), plan)[task]
    }

    func testReadings() -> [String: Int] { test.readingCounts }

    /// Sample identities of the parts do not meet (I13).
    var areDisjoint: Bool {
        zip(train, validation).allSatisfy { train, validation in
            Set(train.sourceIndices).isDisjoint(with: validation.sourceIndices)
        }
    }
}
