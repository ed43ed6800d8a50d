import Networks
import Tensors

/// Everything of a run that changes while it goes on.
final class RunState {
    let memory: AdapterMemory
    let head: SharedHead
    /// Statistics of the further heads.
    var statistics: [HeadKind: StatisticsHead] = [:]
    /// Predictions on test samples, by head.
    var predictions: [HeadKind: PredictionTable] = [:]
    /// Accuracies on validation samples, as the accuracy matrix.
    var validationRows: [[Double]] = []
    /// Accuracy within task j's classes by class means, before task j was learned and of the bare backbone.
    var transferBefore: [Double] = []
    var transferUntouched: [Double] = []
    /// Samples of each class that the head was trained on so far.
    var trainedOn: [Int]
    /// Tasks that are done.
    var finished = 0
    /// Mean cosine of features before and after each task.
    var drifts: [Double] = []
    var invariantsPassed = 0
    var invariantsFailed = 0
    var gate: SlotGate?
    /// Accumulated gradients of slow levels that go over to the next task.
    var carried: [SlotName: [Float]] = [:]
    /// `chain3`: fast → mid consolidations since the last mid → slow.
    var cascades = 0
    /// Readings of test data, by purpose.
    var warnings: [String] = []

    init(_ configuration: RunConfiguration, plan: TaskPlan, backbone: BackboneDescription, tasks: Int) throws {
        memory = try AdapterMemory(configuration, backbone: backbone, tasks: tasks)
        head = SharedHead(
            classes: plan.order, width: backbone.width, options: configuration.head, seed: configuration.seed)
        trainedOn = [Int](repeating: 0, count: plan.order.count)
        let width = backbone.width * (configuration.head.features == .both ? 2 : 1)
        for kind in configuration.head.kinds {
            predictions[kind] = PredictionTable()
            guard let statistic = kind.statistics else { continue }
            var options = StatisticsHeadOptions(
                statistic, drift: configuration.head.driftCorrection ? .ridge : .none)
            options.hidden = configuration.head.hidden
            options.lambda = configuration.head.lambda
            options.seed = configuration.seed
            statistics[kind] = StatisticsHead(options, width: width, classCount: plan.order.count)
        }
    }
}
