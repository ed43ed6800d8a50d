import Diagnostics
import Foundation
import Networks
import Tensors

/// The heads of a run: the shared linear one and statistics heads that grow with the tasks (section 11.5).
///
/// Statistics of old classes stay as they were when their task ended; nothing of an old task is read again.
struct HeadPanel {
    let kinds: [RunConfiguration.HeadKind]
    let settings: RunConfiguration.Head
    let random: KeyedRandom
    private var means: NearestMean
    private var ridge: RandomFeatureRidge
    private var discriminant: LinearDiscriminant
    private var lambda = 1.0

    init(_ configuration: RunConfiguration, width: Int, classes: Int, random: KeyedRandom) {
        settings = configuration.head
        self.random = random
        var kinds = [configuration.head.kind]
        for kind in configuration.head.also where !kinds.contains(kind) { kinds.append(kind) }
        self.kinds = kinds
        let needsRidge = kinds.contains(.ranpac)
        means = NearestMean(width: width, classCount: classes)
        ridge = RandomFeatureRidge(
            width: width, classCount: classes, hidden: needsRidge ? configuration.head.hidden : 0, seed: random.seed)
        discriminant = LinearDiscriminant(width: width, classCount: classes)
    }

    /// True when some head needs features of the training data after each task.
    var needsStatistics: Bool { kinds.contains { $0 != .linear } }

    /// Adds a task's training features under their rows.
    mutating func add(_ features: Matrix<Float>, rows: [Int], task: Int) throws {
        if kinds.contains(.ncm) { means.add(features, labels: rows) }
        if kinds.contains(.lda) { try discriminant.add(features, labels: rows) }
        guard kinds.contains(.ranpac) else { return }
        if let fixed = settings.lambda {
            lambda = fixed
        } else {
            let order = random.permutation(features.rows, "ridge", task)
            let held = order.prefix(max(1, features.rows / 5)).sorted()
            let fit = order.dropFirst(held.count).sorted()
            lambda = try ridge.chosenLambda(fit: part(features, rows, fit), held: part(features, rows, held))
        }
        try ridge.add(features, labels: rows)
    }

    private func part(_ features: Matrix<Float>, _ rows: [Int], _ positions: [Int]) -> (
        features: Matrix<Float>, labels: [Int]
    ) {
        let width = features.columns
        let elements = positions.flatMap { features.elements[$0 * width..<($0 + 1) * width] }
        return (Matrix(rows: positions.count, columns: width, elements: elements), positions.map { rows[$0] })
    }

    /// The head of one kind over the rows seen.
    ///
    /// - Parameter linear: the shared head, trained.
    func head(_ kind: RunConfiguration.HeadKind, linear: SharedHead, seen: Int) throws -> any ClassHead {
        switch kind {
        case .linear: return linear.head(seen)
        case .ncm: return means.head(scale: 16)
        case .ranpac: return try ridge.head(lambda: lambda)
        case .lda: return try discriminant.head()
        }
    }
}

/// Predictions of one head on some features.
struct HeadPredictions {
    /// Row of the largest logit among the rows seen.
    var rows: [Int] = []
    /// Row of the largest logit among the rows of the true task.
    var within: [Int] = []
    var topLogits: [Float] = []
    /// Mean cross-entropy over the rows that compete.
    var loss = 0.0
    /// Largest logit of each seen row's task, summed per task: mean max-logit per task.
    var logits: Matrix<Float>

    /// - Parameters:
    ///   - seen: rows that compete.
    ///   - own: rows of each sample's true task.
    ///   - targets: true rows.
    init(_ head: any ClassHead, _ features: Matrix<Float>, seen: Range<Int>, own: [Range<Int>], targets: [Int]) {
        logits = head.logits(features)
        for row in 0..<features.rows {
            let best = Self.top(logits, row, seen)
            rows.append(best)
            topLogits.append(logits[row, best])
            within.append(Self.top(logits, row, own[row]))
            loss += Self.crossEntropy(logits, row, seen, targets[row])
        }
        loss /= Double(max(1, features.rows))
    }

    private static func top(_ logits: Matrix<Float>, _ row: Int, _ range: Range<Int>) -> Int {
        var best = range.lowerBound
        for column in range where logits[row, column] > logits[row, best] { best = column }
        return best
    }

    private static func crossEntropy(_ logits: Matrix<Float>, _ row: Int, _ range: Range<Int>, _ target: Int) -> Double
    {
        let largest = Double(logits[row, top(logits, row, range)])
        let sum = range.reduce(0.0) { $0 + exp(Double(logits[row, $1]) - largest) }
        return log(sum) - (Double(logits[row, target]) - largest)
    }
}
