/// "Keep the largest magnitudes of each operand, set the others to zero" (merge-methods 2.2, 2.3), as the methods
/// `ties` and `magnitude_prune` use it.
struct MagnitudeTrim: Sendable {
    enum Scope: String, Sendable, CaseIterable {
        case tensor, adapter, row
    }

    enum TieBreak: String, Sendable, CaseIterable {
        /// Keep every magnitude ≥ θ, so possibly more than k.
        case threshold
        /// Keep exactly k, the first ones in row-major order.
        case exact
    }

    /// How density · N becomes a count.
    enum Rounding: Sendable {
        /// ⌊d·N + 1e-9⌋
        case floor
        /// Truncation of the float64 product, as other tools do.
        case truncate
        /// The same, but at least 1 (mergekit's ties).
        case truncateToOne
        /// The same and one more: the authors of TIES keep everything from the (N−k)-th smallest magnitude on.
        case oneMore

        func count(density: Double, of entries: Int) -> Int {
            let product = density * Double(entries)
            return switch self {
            case .floor: min(entries, Int((product + 1e-9).rounded(.down)))
            case .truncate: min(entries, Int(product))
            case .truncateToOne: min(entries, max(1, Int(product)))
            case .oneMore: min(entries, Int(product) + 1)
            }
        }
    }

    private enum Action: Sendable {
        case keepAll
        case dropAll
        /// Position of the threshold in the selection round.
        case select(slot: Int)
        /// Share of every row.
        case perRow(Double)
    }

    private let actions: [Action]
    private let selections: [MagnitudeSelection]
    private let tieBreak: TieBreak
    private let rounding: Rounding

    /// Densities per operand, each in 0…1; 1 keeps an operand bit by bit, 0 drops it with a remark.
    init(
        _ context: MethodContext, densities: [Double], scope: Scope, tieBreak: TieBreak, rounding: Rounding = .floor
    ) {
        var actions: [Action] = []
        var selections: [MagnitudeSelection] = []
        for (operand, density) in densities.enumerated() {
            if density >= 1 {
                actions.append(.keepAll)
            } else if density <= 0 {
                context.remarks.add("density 0 drops '\(context.adapterNames[operand])' altogether")
                actions.append(.dropAll)
            } else if scope == .row {
                actions.append(.perRow(density))
            } else {
                let key = SelectionScope.ScopeKey(operand: context.operandIndices[operand], share: density)
                actions.append(.select(slot: selections.count))
                selections.append(
                    MagnitudeSelection(
                        quantity: .operand(operand), scope: scope == .adapter ? .adapter(key) : .tensor,
                        exact: tieBreak == .exact,
                        count: { entries, _ in rounding.count(density: density, of: entries) }))
            }
        }
        self.actions = actions
        self.selections = selections
        self.tieBreak = tieBreak
        self.rounding = rounding
    }

    /// The rounds that the trim needs; its thresholds are those of round 0.
    var rounds: [StatisticsRound] { selections.isEmpty ? [] : [.select(selections)] }

    var needsWholeRows: Bool {
        actions.contains { if case .perRow = $0 { true } else { false } }
    }

    /// Sets the dropped entries of a chunk to zero.
    func apply(_ chunk: ElementChunk, _ state: inout ElementState) {
        for (operand, action) in actions.enumerated() {
            let values = chunk.operand(operand)
            state.examined += chunk.count
            switch action {
            case .keepAll: break
            case .dropAll:
                values.update(repeating: 0, count: chunk.count)
                state.trimmed += chunk.count
            case .select(let slot):
                state.trimmed += MagnitudeTrim.drop(values, chunk.count, &state.thresholds[0][slot])
            case .perRow(let density):
                state.trimmed += trimRows(
                    values, chunk, k: rounding.count(density: density, of: chunk.columns))
            }
        }
    }

    private func trimRows(_ values: UnsafeMutablePointer<Float>, _ chunk: ElementChunk, k: Int) -> Int {
        var dropped = 0
        for start in stride(from: 0, to: chunk.count, by: chunk.columns) {
            let row = values + start
            var threshold = RowSelection.threshold(row, count: chunk.columns, k: k, exact: tieBreak == .exact)
            dropped += MagnitudeTrim.drop(row, chunk.columns, &threshold)
        }
        return dropped
    }

    /// Sets everything below the threshold to zero and returns how many entries that were.
    static func drop(
        _ values: UnsafeMutablePointer<Float>, _ count: Int, _ threshold: inout MagnitudeThreshold
    ) -> Int {
        let limit = threshold.bits
        var ties = 0
        if threshold.tiesKept != .max {
            for i in 0..<count { ties &+= magnitudeBits(values[i]) == limit ? 1 : 0 }
        }
        if ties <= threshold.tiesKept {
            if threshold.tiesKept != .max { threshold.tiesKept -= ties }
            return zeroBelow(values, count, limit)
        }
        return dropAtTies(values, count, &threshold)
    }

    /// Keeps magnitudes with bits ≥ limit. Whole numbers only and no branch, so that it becomes vector code.
    private static func zeroBelow(_ values: UnsafeMutablePointer<Float>, _ count: Int, _ limit: Int32) -> Int {
        var kept = 0
        values.withMemoryRebound(to: Int32.self, capacity: count) { bits in
            for start in stride(from: 0, to: count, by: 1 << 20) {
                var inside: Int32 = 0
                for i in start..<min(count, start + (1 << 20)) {
                    let mask: Int32 = bits[i] & 0x7FFF_FFFF >= limit ? -1 : 0
                    bits[i] &= mask
                    inside &-= mask
                }
                kept += Int(inside)
            }
        }
        return count - kept
    }

    private static func dropAtTies(
        _ values: UnsafeMutablePointer<Float>, _ count: Int, _ threshold: inout MagnitudeThreshold
    ) -> Int {
        var dropped = 0
        for i in 0..<count {
            let bits = magnitudeBits(values[i])
            if bits > threshold.bits { continue }
            if bits == threshold.bits, threshold.tiesKept > 0 {
                threshold.tiesKept -= 1
                continue
            }
            values[i] = 0
            dropped += 1
        }
        return dropped
    }

    @inline(__always)
    private static func magnitudeBits(_ value: Float) -> Int32 {
        Int32(bitPattern: value.bitPattern & 0x7FFF_FFFF)
    }
}
