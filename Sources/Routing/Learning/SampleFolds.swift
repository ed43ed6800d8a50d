import Diagnostics
import Tensors
import Training

/// Training and validation positions among some samples (section 5.4).
struct SampleFolds {
    let folds: [(train: [Int], validation: [Int])]

    /// One split stratified by task with at least one held-out sample per task; k folds below 20 samples.
    ///
    /// - Parameter tasks: task of each sample; nil stands for a task of its own.
    init(tasks: [Int?], options: RouterTrainingOptions) {
        let count = tasks.count
        let groups = Dictionary(grouping: 0..<count) { tasks[$0] ?? -1 }.sorted { $0.key < $1.key }.map {
            Self.shuffled($0.value, seed: options.seed, group: $0.key)
        }
        if count < RouterTrainingOptions.smallest {
            let k = min(max(2, options.folds), count)
            var fold = [Int](repeating: 0, count: count)
            for (place, position) in groups.flatMap({ $0 }).enumerated() { fold[position] = place % k }
            folds = (0..<k).map { index in
                ((0..<count).filter { fold[$0] != index }, (0..<count).filter { fold[$0] == index })
            }
            return
        }
        let held = Set(
            groups.flatMap { positions -> ArraySlice<Int> in
                let wanted = max(1, Int((options.validation * Double(positions.count)).rounded()))
                return positions.prefix(min(wanted, max(0, positions.count - 1)))
            })
        folds = [((0..<count).filter { !held.contains($0) }, held.sorted())]
    }

    private static func shuffled(_ positions: [Int], seed: UInt64, group: Int) -> [Int] {
        BatchOrder.permuted(positions, CounterRandom(seed: seed, stream: "router", "validation", "\(group)"))
    }
}

/// The order in which samples are learned.
enum BatchOrder {
    /// Fisher–Yates.
    static func permuted(_ positions: [Int], _ random: CounterRandom) -> [Int] {
        var result = positions
        for index in stride(from: result.count - 1, to: 0, by: -1) {
            let draw = Int(Double(random.uniform(UInt64(result.count - 1 - index))) * Double(index + 1))
            result.swapAt(index, min(draw, index))
        }
        return result
    }

    /// The samples of each step: epochs in new orders, one after another.
    static func batches(_ positions: [Int], size: Int, steps: Int, seed: UInt64, stage: String) -> [[Int]] {
        guard !positions.isEmpty else { return [] }
        var result: [[Int]] = []
        var epoch = 0
        while result.count < steps {
            let order = permuted(positions, CounterRandom(seed: seed, stream: "router", stage, "epoch \(epoch)"))
            for start in stride(from: 0, to: order.count, by: size) where result.count < steps {
                result.append(Array(order[start..<min(start + size, order.count)]))
            }
            epoch += 1
        }
        return result
    }
}
