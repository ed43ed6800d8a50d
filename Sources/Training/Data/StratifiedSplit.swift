import Diagnostics
import Tensors

/// Holding out and subsampling, class by class, with an explicit seed.
public enum StratifiedSplit {
    /// The training part, the held-out part, and the classes that were too small for the wanted size.
    public struct Outcome: Sendable {
        public var train: TrainSplit
        public var validation: ValSplit
        public var smallClasses: [Int]
    }

    /// Holds out `max(minimum, ceil(fraction · n_c))` shuffled samples of each class, at most half of it
    /// (CIL engine, section 2). The samples keep their source order within each part.
    ///
    /// - Parameters:
    ///   - fraction: share per class, 0..<1.
    ///   - minimum: least number per class.
    public static func holdOut(
        from samples: LabelledSamples, classes: Int, fraction: Double = 0.1, minimum: Int = 5, seed: UInt64
    ) -> Outcome {
        var held: [Int] = []
        var small: [Int] = []
        for (label, positions) in samples.positions(classes: classes).enumerated() where !positions.isEmpty {
            let wanted = max(minimum, Int((fraction * Double(positions.count)).rounded(.up)))
            let allowed = positions.count / 2
            if wanted > allowed { small.append(label) }
            held += shuffled(positions, seed: seed, label: label).prefix(min(wanted, allowed))
        }
        let heldSet = Set(held)
        let rest = (0..<samples.count).filter { !heldSet.contains($0) }
        return Outcome(
            train: TrainSplit(samples.selecting(rest)), validation: ValSplit(samples.selecting(held.sorted())),
            smallClasses: small)
    }

    /// `count` samples with class shares as equal as they can be: every class gets `count / classes`, and the
    /// remainder goes to the lowest classes that still have samples.
    ///
    /// - Throws: `data.too_few` when there are fewer than `count` samples.
    public static func subsample(_ samples: LabelledSamples, classes: Int, count: Int, seed: UInt64) throws
        -> LabelledSamples
    {
        guard count <= samples.count else {
            throw Failure(
                .dataTooFew, "\(count) samples are wanted, there are \(samples.count)",
                hint: "ask for at most \(samples.count)")
        }
        let pools = samples.positions(classes: classes).enumerated().map { label, positions in
            shuffled(positions, seed: seed, label: label)
        }
        var taken: [Int] = []
        var round = 0
        while taken.count < count {
            let open = pools.indices.filter { round < pools[$0].count }
            // Where not every class can give one more, chance says which: classes of one task stand side by side.
            let order = open.count <= count - taken.count ? open : shuffled(open, seed: seed, label: classes + round)
            taken += order.prefix(count - taken.count).map { pools[$0][round] }
            round += 1
        }
        return samples.selecting(taken.sorted())
    }

    /// Fisher–Yates with one random stream per class, so that a class's order does not depend on the others.
    static func shuffled(_ positions: [Int], seed: UInt64, label: Int) -> [Int] {
        var result = positions
        let random = CounterRandom(seed: seed, stream: 0x5350_4C49_5400_0000 | UInt64(label))
        for index in stride(from: result.count - 1, to: 0, by: -1) {
            let draw = Int(Double(random.uniform(UInt64(result.count - 1 - index))) * Double(index + 1))
            result.swapAt(index, min(draw, index))
        }
        return result
    }
}
