import Diagnostics

/// Classes and the tasks they belong to.
public struct TaskMap: Sendable, Hashable {
    public var classes: Int
    /// Class ids of each task; a class may be in no task.
    public var tasks: [[Int]]
    /// Task of each class, nil outside every task.
    public let taskOfClass: [Int?]

    /// - Throws: `data.malformed` when a task names a class twice, an unknown class, or one of another task.
    public init(classes: Int, tasks: [[Int]]) throws {
        var owner = [Int?](repeating: nil, count: classes)
        for (task, members) in tasks.enumerated() {
            for label in members {
                guard (0..<classes).contains(label), owner[label] == nil else {
                    throw Failure(
                        .dataMalformed, "class \(label) is unknown or stands in two tasks", place: "tasks[\(task)]")
                }
                owner[label] = task
            }
        }
        self.classes = classes
        self.tasks = tasks
        self.taskOfClass = owner
    }
}

/// What was predicted for one sample.
public struct Prediction: Sendable, Hashable {
    /// Largest logit over all classes; among equal logits the lowest class wins.
    public var global: Int
    /// Largest logit within the task of the true class; nil for classes outside every task.
    public var local: Int?
    /// The true class.
    public var label: Int
    /// Largest softmax probability over all classes.
    public var confidence: Float

    /// - Parameters:
    ///   - logits: one number per class.
    ///   - label: the true class.
    public init(logits: UnsafeBufferPointer<Float>, label: Int, map: TaskMap) {
        global = Self.largest(of: logits, among: 0..<logits.count) ?? 0
        local = map.taskOfClass[label].flatMap { Self.largest(of: logits, among: map.tasks[$0]) }
        self.label = label
        confidence = Self.confidence(logits, best: global)
    }

    private static func largest(of logits: UnsafeBufferPointer<Float>, among classes: some Sequence<Int>) -> Int? {
        var best: Int?
        for label in classes {
            guard let current = best else {
                best = label
                continue
            }
            if logits[label] > logits[current] || (logits[label] == logits[current] && label < current) { best = label }
        }
        return best
    }

    private static func confidence(_ logits: UnsafeBufferPointer<Float>, best: Int) -> Float {
        guard !logits.isEmpty else { return 0 }
        var sum: Double = 0
        for logit in logits { sum += exponential(Double(logit) - Double(logits[best])) }
        return Float(1 / sum)
    }
}

/// Counts right predictions over all classes and within each sample's own task.
public struct PredictionTally: Sendable, Hashable {
    public let map: TaskMap
    /// Largest logit over all classes, sample by sample.
    public private(set) var predictions: [Int] = []
    /// Largest logit within the task of the true class; nil for classes outside every task.
    public private(set) var localPredictions: [Int?] = []
    public private(set) var labels: [Int] = []
    /// Largest softmax probability, sample by sample (for calibration).
    public private(set) var confidences: [Float] = []

    public init(map: TaskMap) { self.map = map }

    /// Adds one sample. Among equal logits the lowest class wins.
    ///
    /// - Parameters:
    ///   - logits: one number per class.
    ///   - label: the true class.
    public mutating func add(logits: UnsafeBufferPointer<Float>, label: Int) {
        add(Prediction(logits: logits, label: label, map: map))
    }

    /// Adds a prediction that was made with the same tasks.
    public mutating func add(_ prediction: Prediction) {
        predictions.append(prediction.global)
        localPredictions.append(prediction.local)
        labels.append(prediction.label)
        confidences.append(prediction.confidence)
    }

    public var count: Int { labels.count }
    public var isCorrect: [Bool] { zip(predictions, labels).map { $0 == $1 } }
    public var correctGlobal: Int { zip(predictions, labels).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) } }
    public var correctLocal: Int { zip(localPredictions, labels).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) } }
    /// Samples whose class belongs to a task.
    public var countLocal: Int { localPredictions.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }

    /// Share of right answers over all classes; nil without samples.
    public var accuracyGlobal: Double? { Self.share(correctGlobal, count) }
    /// Share of right answers within the own task; nil when no sample has one.
    public var accuracyLocal: Double? { Self.share(correctLocal, countLocal) }

    /// Share of right answers over all classes for the samples of each task; nil for tasks without samples.
    public var accuracyPerTask: [Double?] { countsPerTask.map { Self.share($0.correct, $0.count) } }

    /// Right answers over all classes and samples of each task.
    public var countsPerTask: [(correct: Int, count: Int)] {
        var counts = [(correct: Int, count: Int)](repeating: (0, 0), count: map.tasks.count)
        for (prediction, label) in zip(predictions, labels) {
            guard let task = map.taskOfClass[label] else { continue }
            counts[task].count += 1
            if prediction == label { counts[task].correct += 1 }
        }
        return counts
    }

    /// `matrix[true class][predicted class]` = number of samples.
    public var confusion: [[Int]] {
        var matrix = [[Int]](repeating: [Int](repeating: 0, count: map.classes), count: map.classes)
        for (prediction, label) in zip(predictions, labels) { matrix[label][prediction] += 1 }
        return matrix
    }

    private static func share(_ part: Int, _ whole: Int) -> Double? { whole > 0 ? Double(part) / Double(whole) : nil }
}
