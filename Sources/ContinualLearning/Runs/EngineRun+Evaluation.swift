import Diagnostics
import Networks
import Tensors
import WeightFiles

extension EngineRun {
    /// Evaluates every head on the test data of all tasks seen, for the report.
    func evaluate(_ task: Int, _ record: inout TaskRecord) throws -> [RunConfiguration.HeadKind: [Double]] {
        let (samples, encoded) = try sequence.testData(through: task, for: "report")
        let input = try SampleInput(
            encoded, on: backbone, firstLayer: layout.firstLayer, limitBytes: 0, threads: threads)
        let features = try features(input, task)
        let seen = 0..<rowsOfTask[task].upperBound
        let targets = samples.labels.map { rowOfClass[$0] ?? 0 }
        let taskOfRow = rowsOfTask.enumerated().flatMap { task, rows in rows.map { _ in task } }
        let tasks = targets.map { taskOfRow[$0] }
        var accuracies: [RunConfiguration.HeadKind: [Double]] = [:]
        for kind in panel.kinds {
            let head = try panel.head(kind, linear: state.head, seen: seen.upperBound)
            let predictions = HeadPredictions(
                head, features, seen: seen, own: tasks.map { rowsOfTask[$0] }, targets: targets)
            var right = [Int](repeating: 0, count: task + 1)
            var counts = right
            for (index, row) in predictions.rows.enumerated() {
                counts[tasks[index]] += 1
                if row == targets[index] { right[tasks[index]] += 1 }
            }
            let row = zip(right, counts).map { $1 > 0 ? Double($0) / Double($1) : 0 }
            matrices[kind]?.append(row)
            accuracies[kind] = row
            for (j, accuracy) in row.enumerated() {
                record.add("heads.csv", "\(task),\(kind.rawValue),\(j),\(accuracy),\(counts[j])")
            }
            guard kind == configuration.head.kind else { continue }
            keep(predictions, samples.labels, samples.sourceIndices, tasks, task, &record)
        }
        record.event(
            "eval",
            [
                .init("task", .integer(task)), .init("split", .string("test")), .init("purpose", .string("report")),
                .init("accuracy", .array((accuracies[configuration.head.kind] ?? []).map(JSONValue.double))),
            ])
        return accuracies
    }

    private func keep(
        _ predictions: HeadPredictions, _ labels: [Int], _ sources: [Int], _ tasks: [Int], _ task: Int,
        _ record: inout TaskRecord
    ) {
        lastOutcomes = labels.indices.map { index in
            PredictionMetrics.Outcome(
                trueTask: tasks[index], trueClass: labels[index],
                predictedClass: sequence.order[predictions.rows[index]],
                predictedWithinTask: sequence.order[predictions.within[index]])
        }
        guard configuration.writesPredictions else { return }
        for index in labels.indices {
            record.add(
                "predictions.csv",
                "\(task),\(tasks[index]),\(sources[index]),\(labels[index]),"
                    + "\(sequence.order[predictions.rows[index]]),\(predictions.topLogits[index])")
        }
    }

    /// Accuracy on the task's validation part with the linear head, the task's own classes competing.
    func validationAccuracy(_ task: Int, _ validation: SampleInput, _ view: StateView, _ expert: Int?) throws -> Double
    {
        let targets = validation.encoded.labels.map { rowOfClass[$0] ?? 0 }
        let features = try features(validation, task, view: view, expert: expert)
        let rows = rowsOfTask[task]
        let predictions = HeadPredictions(
            state.head.head(rows.upperBound), features, seen: rows, own: targets.map { _ in rows }, targets: targets)
        return Double(zip(predictions.rows, targets).count { $0 == $1 }) / Double(max(1, targets.count))
    }

    /// The views of section 14 on the validation data of the current task.
    func ablate(
        _ task: Int, moment: String, _ validation: SampleInput, expert: Int?, _ record: inout TaskRecord
    ) throws {
        guard !state.all.isEmpty, validation.count > 0, !configuration.head.concatenated else { return }
        for view in StateView.allCases where view != .midOnly || state.mid != nil {
            let accuracy = try validationAccuracy(task, validation, view, moment == "pre" ? expert : nil)
            record.add(
                "ablations.csv", "\(task),\(moment),\(view.rawValue),val,\(task),\(accuracy),\(validation.count)")
        }
    }

    /// Logits of at most 64 validation samples.
    func probeLogits(_ validation: SampleInput, _ task: Int, view: StateView, expert: Int?) throws -> [Float] {
        let count = min(64, validation.count)
        guard count > 0, !configuration.head.concatenated else { return [] }
        let mix = try state.mix()
        let features = try backbone.features(
            validation(Array(0..<count)), pooling: reading.pooling, mix: mix,
            coefficients: mix.map { _ in .constant(state.coefficients(view, configuration, only: expert)) },
            threads: threads)
        let matrix = Matrix(rows: count, columns: backbone.description.width, elements: features)
        return state.head.head(rowsOfTask[task].upperBound).logits(matrix).elements
    }
}
