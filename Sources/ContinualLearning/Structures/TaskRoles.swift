/// Which slots take part in training a task and which of them learn (cil-engine 3, 6).
struct TaskRoles: Sendable, Hashable {
    /// Fast slots that learn; several in `parallel`.
    var lanes: [Int]
    /// Learn beside the lanes.
    var slowLearns: Bool
    var midLearns: Bool
    /// In the forward pass of training.
    var usesSlow: Bool
    var usesMid: Bool

    /// Names of everything that learns.
    var members: Set<SlotName> {
        var result = Set(lanes.map { SlotName.fast($0) })
        if slowLearns { result.insert(.slow) }
        if midLearns { result.insert(.mid) }
        return result
    }

    init(_ configuration: RunConfiguration, task: Int, slots: Int, hasSlow: Bool) {
        let structure = configuration.structure
        let isFrozen = structure == .backbone || (configuration.firstTaskOnly && task > 0)
        usesSlow = hasSlow && ![.pam, .singleEMA].contains(structure)
        usesMid = structure == .chain3
        slowLearns =
            usesSlow && structure.trainsSlow && configuration.slow.multiplier > 0
            && configuration.slow.storage != .dense && !isFrozen
        midLearns = usesMid && configuration.timeScales.midMultiplier > 0 && !isFrozen
        switch structure {
        case _ where isFrozen: lanes = []
        case .moe: lanes = [task % slots]
        case .independent: lanes = [task]
        case .parallel: lanes = Array(0..<slots)
        default: lanes = [0]
        }
    }
}
