import Networks
import Tensors
import Training

/// Trains rows of the head on features that stay as they are: the refit after consolidation (11.4), and the head of
/// tasks in which no adapter learns.
struct HeadTraining {
    let configuration: RunConfiguration
    let loss: HeadLoss
    /// Under which the order of samples is drawn.
    let purpose: String
    let task: Int

    /// - Parameters:
    ///   - features: [samples, width].
    ///   - labels: rows of the head.
    ///   - trained: rows that learn.
    /// - Returns: mean loss of the last epoch.
    func run(
        _ features: Matrix<Float>, labels: [Int], rows: HeadRows, trained: Range<Int>, epochs: Int
    ) -> Double {
        let sums = HeadLoss.Sums(rows: loss.competing.count, width: loss.width)
        let first = trained.lowerBound - loss.competing.lowerBound
        let o = configuration.optimisation
        var groups = [
            ParameterGroup(
                name: "head", values: rows.weights(of: trained),
                gradient: UnsafeMutableBufferPointer(
                    rebasing: sums.weights[first * loss.width..<(first + trained.count) * loss.width]),
                multiplier: o.headMultiplier, weightDecay: o.headWeightDecay)
        ]
        if configuration.head.bias {
            groups.append(
                ParameterGroup(
                    name: "head.bias", values: rows.bias(of: trained),
                    gradient: UnsafeMutableBufferPointer(rebasing: sums.bias[first..<first + trained.count]),
                    multiplier: o.headMultiplier))
        }
        let optimizer = Optimizer(o.kind, groups: groups)
        let steps = (labels.count + configuration.batch - 1) / configuration.batch
        let schedule = LearningRateSchedule(
            o.schedule, base: o.rate, minimum: o.minimumRate, warmupSteps: min(o.warmupSteps, steps * epochs / 2),
            totalSteps: steps * epochs)
        var mean = 0.0
        var total = 0
        for epoch in 0..<epochs {
            let order = Permutation.of(
                labels.count,
                CounterRandom(seed: configuration.seed, stream: purpose, "\(task)", "\(epoch)"))
            mean = 0
            for start in stride(from: 0, to: order.count, by: configuration.batch) {
                let batch = order[start..<min(start + configuration.batch, order.count)]
                sums.clear()
                features.elements.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    for sample in batch {
                        loss.add(
                            base + sample * loss.width, label: labels[sample], rows: rows,
                            scale: 1 / Float(batch.count), into: sums, gradient: nil)
                    }
                }
                mean += sums.loss
                optimizer.step(learningRate: schedule.rate(at: total))
                total += 1
            }
            mean /= Double(max(1, labels.count))
        }
        return mean
    }
}
