import Diagnostics
import Foundation
import Networks
import Tensors

extension EngineRun {
    /// Trains K experts on the same task, one after another in the same batches (section 7): with the slow slot frozen
    /// and a head each, that is K separate runs, and the shared prefix is computed once.
    func compete(
        _ task: Int, _ train: SampleInput, _ validation: SampleInput, _ targets: [Int], _ rows: Range<Int>,
        _ record: inout TaskRecord, _ log: inout InvariantLog
    ) throws -> Int {
        let multipliers = expertMultipliers()
        var heads: [SharedHead] = []
        let slowBefore = state.slow?.snapshot
        var slowSum = [Double](repeating: 0, count: slowBefore?.count ?? 0)
        for index in state.fast.indices {
            if let slow = state.slow, let slowBefore { _ = slow.values.update(fromContentsOf: slowBefore) }
            let head = SharedHead(
                copying: configuration.experts.sharedHead && index > 0 ? heads[index - 1] : state.head)
            let slots = trainedSlots(index)
            let report = try fit(task, train, targets, slots, head, rows, multipliers[index], &record)
            state.fast[index].isTrained = true
            heads.append(head)
            try check(report, slots, &log)
            if let slow = state.slow { for i in 0..<slow.count { slowSum[i] += Double(slow.values[i]) } }
        }
        // The slow slot moves by the mean of what each expert asked of it.
        if let slow = state.slow, configuration.slow.multiplier > 0 {
            for i in 0..<slow.count { slow.values[i] = Float(slowSum[i] / Double(state.fast.count)) }
        }
        let winner = try select(task, validation, heads, multipliers, &record, &log)
        state.head.assign(heads[winner])
        state.lastFast = winner
        return winner
    }

    func expertMultipliers() -> [Double] {
        let count = state.fast.count
        switch configuration.experts.schedule {
        case .halving: return (0..<count).map { 1 / Double(1 << $0) }
        case .decades: return (0..<count).map { pow(10, -Double($0 / 2)) * ($0 % 2 == 0 ? 1 : 0.5) }
        case .list(let list): return list
        }
    }

    /// The expert with the best accuracy on validation data; ties go to the lower loss, the smaller norm, the lower
    /// index (section 12).
    private func select(
        _ task: Int, _ validation: SampleInput, _ heads: [SharedHead], _ multipliers: [Double],
        _ record: inout TaskRecord, _ log: inout InvariantLog
    ) throws -> Int {
        let source = try selectionInput(task, validation)
        let targets = source.encoded.labels.map { rowOfClass[$0] ?? 0 }
        var scores: [ExpertScore] = []
        for index in state.fast.indices {
            let features = try reading.features(
                source, mix: state.mix(),
                coefficients: state.coefficients(.combined, configuration, only: index))
            let rows = configuration.selection.seenScope ? 0..<rowsOfTask[task].upperBound : rowsOfTask[task]
            let predictions = HeadPredictions(
                heads[index].head(rowsOfTask[task].upperBound), features, seen: rows,
                own: targets.map { _ in rows }, targets: targets)
            let right = zip(predictions.rows, targets).count { $0 == $1 }
            scores.append(
                ExpertScore(
                    correct: right, count: targets.count, loss: predictions.loss,
                    norm: try state.fast[index].slot.norm()))
        }
        let winner = ExpertScore.winner(scores)
        for (index, score) in scores.enumerated() {
            record.add(
                "experts.csv",
                "\(task),\(index),\(configuration.optimizer.learningRate * multipliers[index]),\(score.accuracy),"
                    + "\(score.loss),\(score.norm),\(score.count),\(score.standardError),\(index == winner ? 1 : 0)")
        }
        try checkIsolation(task, source, &log)
        return winner
    }

    private func selectionInput(_ task: Int, _ validation: SampleInput) throws -> SampleInput {
        guard configuration.selection.usesTest else { return validation }
        let (_, encoded) = try sequence.testData(through: task, for: "selection (leaky)")
        return try SampleInput(encoded, on: backbone, firstLayer: layout.firstLayer, limitBytes: 0, threads: threads)
    }
}

/// What an expert reached on validation data.
struct ExpertScore: Sendable, Hashable {
    var correct: Int
    var count: Int
    var loss: Double
    var norm: Double

    var accuracy: Double { count > 0 ? Double(correct) / Double(count) : 0 }
    var standardError: Double { count > 0 ? (accuracy * (1 - accuracy) / Double(count)).squareRoot() : 0 }

    static func winner(_ scores: [ExpertScore]) -> Int {
        scores.indices.min { a, b in
            let (x, y) = (scores[a], scores[b])
            return (-x.accuracy, x.loss, x.norm, a) < (-y.accuracy, y.loss, y.norm, b)
        } ?? 0
    }
}
