/// What one step's losses were: unweighted, by name; `task` is the cross-entropy through the mixture.
public struct LossRecord: Sendable, Hashable {
    public var stage: String
    public var step: Int
    public var learningRate: Double
    /// Length of the gradient before clipping.
    public var gradientNorm: Double
    public var terms: [Term]

    public struct Term: Sendable, Hashable {
        public var name: String
        public var value: Double
        public var coefficient: Double
        public var weighted: Double { value * coefficient }
    }

    public var total: Double { terms.reduce(0) { $0 + $1.weighted } }
}

/// One validation.
public struct ValidationRecord: Sendable, Hashable {
    public var fold: Int
    public var step: Int
    public var correct: Int
    public var count: Int
    /// Mean cross-entropy.
    public var loss: Double

    public var accuracy: Double { Double(correct) / Double(max(1, count)) }
}

/// How a training went.
public struct TrainingLog: Sendable {
    public var steps: [LossRecord] = []
    public var validations: [ValidationRecord] = []
    public var chosenStep = 0
    public var trainCount = 0
    public var validationCount = 0
    public var folds = 1
    public var refitted = false
    public var seconds = 0.0

    public init() {}
}
