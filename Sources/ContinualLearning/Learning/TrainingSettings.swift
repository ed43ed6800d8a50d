import Networks
import Training

/// What learns together in the optimiser, and how often.
struct LearningGroup {
    /// The slot, nil for the head.
    let slot: SlotName?
    let group: ParameterGroup<Float>
    /// Steps between updates.
    let period: Int
}

/// Where training stands within a task: enough, with the parameters, to go on (cil-engine 17).
struct TrainingPosition: Sendable, Equatable {
    var epoch = 0
    /// Steps done in this epoch.
    var step = 0
    /// Steps done in this task.
    var total = 0
    /// Sum over this epoch's samples of each lane's loss.
    var lossSums: [Double]
    var samples = 0
    /// Updates of each group in this task.
    var updates: [Int]
}

/// What an epoch came to.
struct EpochRecord: Sendable {
    var epoch: Int
    /// Mean loss per lane.
    var losses: [Double]
    /// Learning rate per group at the epoch's last step.
    var rates: [(name: String, rate: Double)]
}
