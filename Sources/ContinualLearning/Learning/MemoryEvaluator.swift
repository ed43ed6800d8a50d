import Diagnostics
import Foundation
import Networks
import Tensors

/// Features and scores of a run's network in its present state. There is one forward pass; views differ in
/// coefficients only. Nothing here takes a task number: the network does not know the task of a sample.
struct MemoryEvaluator {
    let runner: NetworkRunner
    let configuration: RunConfiguration
    let memory: AdapterMemory
    let gate: SlotGate?
    private let mix: AdapterMix<Float>?

    init(runner: NetworkRunner, configuration: RunConfiguration, state: RunState) throws {
        try self.init(runner: runner, configuration: configuration, memory: state.memory, gate: state.gate)
    }

    init(runner: NetworkRunner, configuration: RunConfiguration, memory: AdapterMemory, gate: SlotGate?) throws {
        self.runner = runner
        self.configuration = configuration
        self.memory = memory
        self.gate = gate
        let slots = memory.names.compactMap { memory[$0] }
        mix = slots.isEmpty ? nil : try AdapterMix(slots, on: memory.backbone)
    }

    private var isGated: Bool {
        configuration.structure.usesEvalRule && configuration.evaluationRule == .gate && configuration.gate == .linear
    }

    /// Features [samples, width] of a view.
    func features(
        _ set: SampleSet, _ view: MemoryView, _ moment: Moment, active: Int? = nil, positions: [Int]? = nil
    ) throws -> Matrix<Float> {
        let base = memory.coefficients(view, moment, active: active)
        guard isGated, view.usesFast, let gate, let mix else {
            return try runner.features(of: set, mix: mix, coefficients: base, positions: positions)
        }
        // Two passes: the bare backbone's feature decides which slots the sample goes through.
        let positions = positions ?? Array(0..<set.count)
        let shares = gate.weights(
            try runner.features(of: set, mix: nil, positions: positions), trained: memory.isTrained)
        let first = memory.names.count - memory.fast.count
        let row = Dictionary(uniqueKeysWithValues: positions.enumerated().map { ($1, $0) })
        return try runner.features(of: set, mix: mix, positions: positions) { part in
            var table = [Float](repeating: 0, count: part.count * mix.slots.count)
            for (place, position) in part.enumerated() {
                for slot in 0..<first { table[place * mix.slots.count + slot] = base[slot] }
                for slot in memory.fast.indices {
                    table[place * mix.slots.count + first + slot] = shares[row[position] ?? 0, slot]
                }
            }
            return .perSample(table)
        }
    }

    /// Features for statistics heads: of the view, or of the bare backbone and the view side by side, each of unit
    /// length.
    func statisticsFeatures(_ set: SampleSet, of features: Matrix<Float>) throws -> Matrix<Float> {
        guard configuration.head.features == .both else { return features }
        let bare = FeatureRows.unitLength(try runner.features(of: set, mix: nil))
        return Matrix.sideBySide([bare, FeatureRows.unitLength(features)])
    }
}

/// Scores → predictions.
enum Scores {
    struct Outcome {
        var predicted: Int
        var within: Int
        var top: Float
        var loss: Double
    }

    /// The largest of the first `seen` scores, among equals the lowest row; and the largest within the rows of the
    /// true task.
    static func outcome(_ logits: Matrix<Float>, row: Int, seen: Int, task: Range<Int>) -> Outcome {
        let start = row * logits.columns
        func best(_ range: Range<Int>) -> Int {
            var best = range.lowerBound
            for c in range where logits.elements[start + c] > logits.elements[start + best] { best = c }
            return best
        }
        let predicted = best(0..<seen)
        return Outcome(
            predicted: predicted, within: best(task), top: logits.elements[start + predicted], loss: 0)
    }

    /// Share of samples whose largest score within `range` is their label, and the mean cross-entropy there.
    static func accuracy(_ logits: Matrix<Float>, labels: [Int], within range: Range<Int>) -> (Double, Double)? {
        guard !labels.isEmpty else { return nil }
        var right = 0
        var loss = 0.0
        for (row, label) in labels.enumerated() {
            let start = row * logits.columns
            var best = range.lowerBound
            for c in range where logits.elements[start + c] > logits.elements[start + best] { best = c }
            right += best == label ? 1 : 0
            let top = Double(logits.elements[start + best])
            let sum = range.reduce(0.0) { $0 + exp(Double(logits.elements[start + $1]) - top) }
            loss += log(sum) + top - Double(logits.elements[start + label])
        }
        return (Double(right) / Double(labels.count), loss / Double(labels.count))
    }
}
