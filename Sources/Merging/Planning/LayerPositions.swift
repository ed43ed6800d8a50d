/// Where modules stand between the first and the last layer, for gradients (merge-methods 7.2).
struct LayerPositions {
    private let index: LayerIndex
    private let positions: [Int: Double]

    /// - Parameters:
    ///   - modules: all module names of the union of the adapters.
    ///   - overWholeModel: mergekit's rule: layers 0 … last count, present or not.
    init(modules: some Sequence<String>, index: LayerIndex, overWholeModel: Bool) {
        self.index = index
        var layers = Set(modules.compactMap { index.of($0) })
        if overWholeModel, let last = layers.max(), last < 100_000 { layers = Set(0...last) }
        let sorted = layers.sorted()
        var positions: [Int: Double] = [:]
        for (place, layer) in sorted.enumerated() {
            positions[layer] = sorted.count > 1 ? Double(place) / Double(sorted.count - 1) : 1
        }
        self.positions = positions
    }

    func layer(of module: String) -> Int? { index.of(module) }

    /// 0 for a module outside the layers; 1 when there is only one layer.
    func position(of module: String) -> Double {
        guard let layer = index.of(module) else { return 0 }
        return positions[layer] ?? 0
    }

    /// Linear interpolation between values that are spread evenly over 0…1.
    static func interpolate(_ values: [Double], at t: Double) -> Double {
        guard let last = values.indices.last, last > 0 else { return values.first ?? 0 }
        let x = t * Double(last)
        let lower = min(Int(x), last)
        let upper = min(lower + 1, last)
        let share = x - Double(lower)
        let (a, b) = (values[lower], values[upper])
        // Rounding must not lead out of the range that both ends keep to.
        return Swift.min(Swift.max((1 - share) * a + share * b, Swift.min(a, b)), Swift.max(a, b))
    }
}
