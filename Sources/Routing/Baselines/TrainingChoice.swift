import Tensors

/// A few training samples that stand for all: data files are often sorted by class, so that the first samples of a file
/// show some classes only.
enum TrainingChoice {
    /// Up to `count` positions, the groups in turn, each in an order drawn by the seed; sorted.
    ///
    /// - Parameter groups: of each position, e.g. the expert of its task; nil is a group of its own.
    static func spread(_ positions: [Int], groups: [Int?], count: Int, seed: UInt64) -> [Int] {
        let pools = Dictionary(grouping: positions) { groups[$0] ?? -1 }.sorted { $0.key < $1.key }.map {
            BatchOrder.permuted($0.value, CounterRandom(seed: seed, stream: "baselines", "choice", "\($0.key)"))
        }
        var taken: [Int] = []
        var round = 0
        while taken.count < min(count, positions.count) {
            for pool in pools where round < pool.count && taken.count < count { taken.append(pool[round]) }
            round += 1
        }
        return taken.sorted()
    }
}
