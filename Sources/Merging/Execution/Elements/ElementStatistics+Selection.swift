import Synchronization

/// Thresholds by magnitude.
///
/// A look at a part of the rows tells about where the threshold is; counting that neighbourhood exactly while all
/// entries pass once finds it in nearly every case. Where it lies elsewhere, or the neighbourhood has no room, two
/// passes do: one for the upper half of its bits, one for the lower half. Both give the same threshold.
extension ElementStatistics {
    /// A selection of one module, or one that several modules share.
    private enum Key: Hashable, Sendable {
        case own(work: Int, slot: Int)
        case shared(SelectionScope.ScopeKey, slot: Int)
    }

    private struct Selection: Sendable {
        let key: Key
        let work: Int
        let slot: Int
        let selection: MagnitudeSelection
    }

    private struct Limit {
        var bits: Int32
        /// Entries of exactly these bits that are kept.
        var ties: Int
    }

    /// One row in so many is looked at beforehand.
    private static let sampledShare = 16
    /// Entries of a selection below which a look beforehand does not pay.
    private static let fewEntries = 1 << 21
    /// Magnitudes around the expected threshold that are counted one by one: an eighth of an octave and parts of it.
    private static let windows = [1 << 20, 1 << 19]

    func select(_ round: Int, _ states: inout [ElementState]) throws {
        let selections = selections(of: round)
        var entries: [Key: Int] = [:]
        for selection in selections { entries[selection.key, default: 0] += works[selection.work].count }
        var open: [Selection] = []
        var wanted: [Key: Int] = [:]
        for work in works.indices {
            let own = selections.filter { $0.work == work }
            states[work].thresholds.append([MagnitudeThreshold](repeating: .everything, count: own.count))
            for selection in own {
                let total = entries[selection.key] ?? 0
                let k = selection.selection.count(total, states[work])
                wanted[selection.key] = k
                if k <= 0 {
                    states[work].thresholds[round][selection.slot] = .nothing
                } else if k < total {
                    open.append(selection)
                }
            }
        }
        guard !open.isEmpty else { return }
        let large = open.filter { (entries[$0.key] ?? 0) >= ElementStatistics.fewEntries }
        var limits = try nearby(large, states, wanted, entries)
        let left = open.filter { limits[$0.key] == nil }
        limits.merge(try byHalves(left, states, wanted)) { known, _ in known }
        try apply(limits, to: open, round, &states)
    }

    private func selections(of round: Int) -> [Selection] {
        works.indices.flatMap { work -> [Selection] in
            let rounds = works[work].rule.rounds
            guard round < rounds.count, case .select(let selections) = rounds[round] else { return [] }
            return selections.enumerated().map { slot, selection in
                let key: Key =
                    switch selection.scope {
                    case .tensor: .own(work: work, slot: slot)
                    case .adapter(let scope): .shared(scope, slot: 0)
                    }
                return Selection(key: key, work: work, slot: slot, selection: selection)
            }
        }
    }

    // MARK: Searching

    /// The thresholds that one pass finds around those of a sample.
    private func nearby(
        _ open: [Selection], _ states: [ElementState], _ wanted: [Key: Int], _ entries: [Key: Int]
    ) throws -> [Key: Limit] {
        let most = works.indices.map { work in open.count { $0.work == work } }.max() ?? 0
        // Those of the selections, and those that each worker fills.
        let counters = Set(open.map(\.key)).count + most * workers.threads
        let room = memoryLimit / 4 / max(1, 4 * counters)
        guard most > 0, let bins = ElementStatistics.windows.first(where: { $0 <= room }) else { return [:] }
        let empty = MagnitudeHistogram.ofUpperBits()
        let sample = try histograms(
            open, states, share: ElementStatistics.sampledShare, empty: Dictionary(open.map { ($0.key, empty) }) { $1 })
        let around = sample.reduce(into: [Key: MagnitudeHistogram]()) { result, entry in
            let share = Double(entry.value.total) / Double(max(1, entries[entry.key] ?? 1))
            let k = max(1, Int((Double(wanted[entry.key] ?? 0) * share).rounded()))
            if let found = entry.value.bin(ofLargest: k) {
                result[entry.key] = entry.value.around(found.bin, bins: bins)
            }
        }
        return limits(try histograms(open.filter { around[$0.key] != nil }, states, empty: around), wanted)
    }

    /// The thresholds by the upper and the lower half of their bits.
    private func byHalves(
        _ open: [Selection], _ states: [ElementState], _ wanted: [Key: Int]
    ) throws -> [Key: Limit] {
        guard !open.isEmpty else { return [:] }
        let empty = MagnitudeHistogram.ofUpperBits()
        let upper = try histograms(open, states, empty: Dictionary(open.map { ($0.key, empty) }) { $1 })
        let buckets = upper.reduce(into: [Key: MagnitudeHistogram]()) { result, entry in
            if let found = entry.value.bin(ofLargest: wanted[entry.key] ?? 0) {
                result[entry.key] = entry.value.inside(found.bin)
            }
        }
        return limits(try histograms(open.filter { buckets[$0.key] != nil }, states, empty: buckets), wanted)
    }

    private func limits(_ histograms: [Key: MagnitudeHistogram], _ wanted: [Key: Int]) -> [Key: Limit] {
        histograms.reduce(into: [:]) { result, entry in
            guard let k = wanted[entry.key], let found = entry.value.bin(ofLargest: k) else { return }
            result[entry.key] = Limit(bits: entry.value.bits(found.bin), ties: k - found.above)
        }
    }

    /// One histogram per key over all entries of its selections, or over a share of the rows.
    private func histograms(
        _ open: [Selection], _ states: [ElementState], share: Int = 1, empty: [Key: MagnitudeHistogram]
    ) throws -> [Key: MagnitudeHistogram] {
        let all = Mutex(empty)
        try workers.run(works.count) { work in
            let own = open.filter { $0.work == work }
            guard !own.isEmpty else { return }
            var local = own.compactMap { empty[$0.key] }
            try pass(own, work, states[work], share: share) { index, values, count in
                local[index].add(values, count: count)
            }
            for (selection, histogram) in zip(own, local) {
                try all.withLock { try $0[selection.key]?.merge(histogram) }
            }
        }
        return all.withLock { $0 }
    }

    /// One pass over a module: calls `body` with the entries of every selection's quantity.
    private func pass(
        _ own: [Selection], _ work: Int, _ initial: ElementState, share: Int = 1,
        _ body: (Int, UnsafePointer<Float>, Int) -> Void
    ) throws {
        let source = try works[work].load()
        let operands = own.compactMap { if case .operand(let i) = $0.selection.quantity { i } else { nil } }
        if operands.count == own.count, Set(operands).count == own.count {
            let places = Dictionary(zip(operands, own.indices)) { first, _ in first }
            return try source.forEachOperand(operands, share: share) { operand, values, count in
                if workers.isCancelled() { throw CancellationError() }
                if let index = places[operand] { body(index, values, count) }
            }
        }
        var state = initial
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, source.blockHeight * source.columns)) {
            derived in
            try source.forEachBlock(share: share) { _, chunk in
                if workers.isCancelled() { throw CancellationError() }
                for (index, selection) in own.enumerated() {
                    switch selection.selection.quantity {
                    case .operand(let i): body(index, chunk.operand(i), chunk.count)
                    case .derived(let write):
                        guard let values = derived.baseAddress else { continue }
                        write(chunk, &state, values)
                        body(index, values, chunk.count)
                    }
                }
            }
        }
    }

    // MARK: Ties

    private func apply(
        _ limits: [Key: Limit], to open: [Selection], _ round: Int, _ states: inout [ElementState]
    ) throws {
        var left = limits.mapValues(\.ties)
        let shared = open.filter { $0.selection.exact && isShared($0, open) }
        let ties = try tieCounts(shared, limits, states)
        for selection in open {
            guard let limit = limits[selection.key] else { continue }
            var kept = Int.max
            if selection.selection.exact {
                let available = left[selection.key] ?? 0
                kept = min(available, ties[TieKey(selection)] ?? available)
                left[selection.key] = available - kept
            }
            states[selection.work].thresholds[round][selection.slot] = MagnitudeThreshold(
                bits: limit.bits, tiesKept: kept)
        }
    }

    private func isShared(_ selection: Selection, _ open: [Selection]) -> Bool {
        open.contains { $0.key == selection.key && $0.work != selection.work }
    }

    private struct TieKey: Hashable, Sendable {
        let work: Int
        let slot: Int

        init(_ selection: Selection) {
            work = selection.work
            slot = selection.slot
        }
    }

    /// Entries that lie exactly at the limit, for every selection that several modules share.
    private func tieCounts(
        _ shared: [Selection], _ limits: [Key: Limit], _ states: [ElementState]
    ) throws -> [TieKey: Int] {
        guard !shared.isEmpty else { return [:] }
        let bits = limits.mapValues(\.bits)
        let counts = Mutex<[TieKey: Int]>([:])
        try workers.run(works.count) { work in
            let own = shared.filter { $0.work == work }
            guard !own.isEmpty else { return }
            var ties = [Int](repeating: 0, count: own.count)
            try pass(own, work, states[work]) { index, values, count in
                let limit = UInt32(bitPattern: bits[own[index].key] ?? -1)
                for i in 0..<count { ties[index] += values[i].bitPattern & 0x7FFF_FFFF == limit ? 1 : 0 }
            }
            let found = Dictionary(zip(own.map { TieKey($0) }, ties)) { $1 }
            counts.withLock { $0.merge(found) { $1 } }
        }
        return counts.withLock { $0 }
    }
}
