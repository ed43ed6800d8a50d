import Tensors

/// Breadcrumbs' trim: the largest and the smallest magnitudes of a tensor become zero (merge-methods 3.7).
struct OutlierTrim: Sparsifier {
    private enum Action: Sendable {
        case keepAll
        case dropAll
        /// Positions of the two selections "among the largest n_top" and "among the largest N − n_bot".
        case band(top: Int, body: Int)
    }

    private let actions: [Action]
    private let selections: [MagnitudeSelection]

    /// - Parameters:
    ///   - densities: share of entries that is kept, per operand.
    ///   - gammas: share of entries that is dropped at the top, per operand.
    init(_ context: MethodContext, densities: [Double], gammas: [Double], rounding: MagnitudeTrim.Rounding = .floor) {
        var actions: [Action] = []
        var selections: [MagnitudeSelection] = []
        for (operand, (density, gamma)) in zip(densities, gammas).enumerated() {
            if density >= 1 {
                actions.append(.keepAll)
            } else if density <= 0 {
                context.remarks.add("density 0 drops '\(context.adapterNames[operand])' altogether")
                actions.append(.dropAll)
            } else {
                actions.append(.band(top: selections.count, body: selections.count + 1))
                for isTop in [true, false] {
                    selections.append(
                        MagnitudeSelection(quantity: .operand(operand), exact: true) { entries, _ in
                            let ends = OutlierTrim.ends(entries, density, gamma, rounding)
                            return isTop ? ends.top : entries - ends.bottom
                        })
                }
            }
        }
        self.actions = actions
        self.selections = selections
    }

    /// How many of N entries are dropped at either end: n_top = ⌊γN⌋, n_bot = N − ⌊dN⌋ − n_top; where that is negative,
    /// the top gives way.
    static func ends(
        _ entries: Int, _ density: Double, _ gamma: Double, _ rounding: MagnitudeTrim.Rounding
    ) -> (top: Int, bottom: Int) {
        let top = rounding.count(density: gamma, of: entries)
        let bottom = entries - rounding.count(density: density, of: entries) - top
        return bottom < 0 ? (max(0, top + bottom), 0) : (top, bottom)
    }

    let needsWholeRows = false
    var rounds: [StatisticsRound] { selections.isEmpty ? [] : [.select(selections)] }

    func apply(_ chunk: ElementChunk, _ state: inout ElementState) {
        for (operand, action) in actions.enumerated() {
            let x = chunk.operand(operand)
            state.examined += chunk.count
            switch action {
            case .keepAll: break
            case .dropAll:
                x.update(repeating: 0, count: chunk.count)
                state.trimmed += chunk.count
            case .band(let top, let body):
                var thresholds = (top: state.thresholds[0][top], body: state.thresholds[0][body])
                for e in 0..<chunk.count {
                    let bits = Int32(bitPattern: x[e].bitPattern & 0x7FFF_FFFF)
                    let isTop = OutlierTrim.isAmongLargest(bits, &thresholds.top)
                    let isBody = OutlierTrim.isAmongLargest(bits, &thresholds.body)
                    guard isTop || !isBody else { continue }
                    x[e] = 0
                    state.trimmed += 1
                }
                state.thresholds[0][top] = thresholds.top
                state.thresholds[0][body] = thresholds.body
            }
        }
    }

    @inline(__always)
    static func isAmongLargest(_ bits: Int32, _ threshold: inout MagnitudeThreshold) -> Bool {
        if bits != threshold.bits { return bits > threshold.bits }
        guard threshold.tiesKept > 0 else { return false }
        if threshold.tiesKept != .max { threshold.tiesKept -= 1 }
        return true
    }
}
