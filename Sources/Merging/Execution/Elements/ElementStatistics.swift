import Synchronization
import Tensors

/// One module whose statistics are wanted.
struct ElementWork: Sendable {
    let rule: ElementRule
    let rows: Int
    let columns: Int
    /// Reads the module's updates; called once per pass.
    let load: @Sendable () throws -> ElementSource

    var count: Int { rows * columns }
}

/// Carries out the statistics rounds of one module, or of all modules whose selections share a scope: every round is
/// one to three passes over all entries, with whole numbers as results, so that the order of the modules does not matter.
struct ElementStatistics {
    let works: [ElementWork]
    let workers: Workers

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

    /// The results, by module.
    func collect() throws -> [ElementState] {
        var states = [ElementState](repeating: ElementState(), count: works.count)
        for round in 0..<(works.map(\.rule.rounds.count).max() ?? 0) {
            try select(round, &states)
            try tally(round, &states)
            try addUp(round, &states)
        }
        return states
    }

    // MARK: Selections

    private func select(_ round: Int, _ states: inout [ElementState]) throws {
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
        let upper = try histograms(open, states, .ofUpperBits()) { histogram, values, count, _ in
            histogram.addUpperBits(values, count: count)
        }
        var buckets: [Key: (bin: Int, above: Int)] = [:]
        for (key, histogram) in upper {
            if let found = histogram.bin(ofLargest: wanted[key] ?? 0) { buckets[key] = (found.bin, found.above) }
        }
        let chosen = buckets
        let lower = try histograms(open, states, .ofLowerBits()) { histogram, values, count, key in
            histogram.addLowerBits(values, count: count, bucket: chosen[key]?.bin ?? -1)
        }
        var limits: [Key: (bits: Int32, ties: Int)] = [:]
        for (key, histogram) in lower {
            guard let bucket = chosen[key], let k = wanted[key],
                let found = histogram.bin(ofLargest: k - bucket.above)
            else { continue }
            limits[key] = (Int32(truncatingIfNeeded: bucket.bin << 16 | found.bin), k - bucket.above - found.above)
        }
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

    private func apply(
        _ limits: [Key: (bits: Int32, ties: Int)], to open: [Selection], _ round: Int, _ states: inout [ElementState]
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
        _ shared: [Selection], _ limits: [Key: (bits: Int32, ties: Int)], _ states: [ElementState]
    ) throws -> [TieKey: Int] {
        guard !shared.isEmpty else { return [:] }
        let bits = limits.mapValues(\.bits)
        let counts = Mutex<[TieKey: Int]>([:])
        try pass(shared, states) { selection, values, count in
            let limit = UInt32(bitPattern: bits[selection.key] ?? -1)
            var ties = 0
            for i in 0..<count { ties += values[i].bitPattern & 0x7FFF_FFFF == limit ? 1 : 0 }
            counts.withLock { $0[TieKey(selection), default: 0] += ties }
        }
        return counts.withLock { $0 }
    }

    /// One histogram per key over all entries of its selections.
    private func histograms(
        _ open: [Selection], _ states: [ElementState], _ empty: MagnitudeHistogram,
        _ add: @Sendable (inout MagnitudeHistogram, UnsafePointer<Float>, Int, Key) -> Void
    ) throws -> [Key: MagnitudeHistogram] {
        let all = Mutex<[Key: MagnitudeHistogram]>([:])
        try workers.run(works.count) { work in
            let own = open.filter { $0.work == work }
            guard !own.isEmpty else { return }
            var local = [MagnitudeHistogram](repeating: empty, count: own.count)
            try pass(own, work, states[work]) { index, values, count in
                add(&local[index], values, count, own[index].key)
            }
            for (selection, histogram) in zip(own, local) {
                try all.withLock { try $0[selection.key, default: empty].merge(histogram) }
            }
        }
        return all.withLock { $0 }
    }

    private func pass(
        _ selections: [Selection], _ states: [ElementState],
        _ body: @Sendable (Selection, UnsafePointer<Float>, Int) -> Void
    ) throws {
        try workers.run(works.count) { work in
            let own = selections.filter { $0.work == work }
            guard !own.isEmpty else { return }
            try pass(own, work, states[work]) { index, values, count in body(own[index], values, count) }
        }
    }

    /// One pass over a module: calls `body` with the entries of every selection's quantity.
    private func pass(
        _ own: [Selection], _ work: Int, _ initial: ElementState, _ body: (Int, UnsafePointer<Float>, Int) -> Void
    ) throws {
        var state = initial
        let source = try works[work].load()
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, source.blockHeight * source.columns)) {
            derived in
            try source.forEachBlock { _, chunk in
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

    // MARK: Tallies

    private func tally(_ round: Int, _ states: inout [ElementState]) throws {
        let sums = Mutex([Int](repeating: 0, count: works.count))
        let before = states
        try workers.run(works.count) { work in
            let rounds = works[work].rule.rounds
            guard round < rounds.count, case .tally(_, let count) = rounds[round] else { return }
            var state = before[work]
            var sum = 0
            try works[work].load().forEachBlock { _, chunk in
                if workers.isCancelled() { throw CancellationError() }
                sum += count(chunk, &state)
            }
            let total = sum
            sums.withLock { $0[work] = total }
        }
        let own = sums.withLock { $0 }
        var shared: [SelectionScope: Int] = [:]
        for work in works.indices {
            if let scope = tallyScope(work, round) { shared[scope, default: 0] += own[work] }
        }
        for work in works.indices {
            switch tallyScope(work, round) {
            case .adapter(let key): states[work].tallies.append(shared[.adapter(key)] ?? 0)
            default: states[work].tallies.append(own[work])
            }
        }
    }

    // MARK: Sums

    private func addUp(_ round: Int, _ states: inout [ElementState]) throws {
        let results = Mutex([[Double]](repeating: [], count: works.count))
        let before = states
        try workers.run(works.count) { work in
            let rounds = works[work].rule.rounds
            guard round < rounds.count, case .sums(let count, let add) = rounds[round] else { return }
            var state = before[work]
            var totals = [Double](repeating: 0, count: count)
            try withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, count)) { scratch in
                guard let row = scratch.baseAddress else { return }
                try works[work].load().forEachBlock { range, chunk in
                    if workers.isCancelled() { throw CancellationError() }
                    for k in range.indices {
                        scratch.update(repeating: 0)
                        add(chunk.row(k - range.lowerBound), &state, row)
                        for j in 0..<count { totals[j] += row[j] }
                    }
                }
            }
            let sums = totals
            results.withLock { $0[work] = sums }
        }
        for (work, sums) in results.withLock({ $0 }).enumerated() { states[work].sums.append(sums) }
    }

    private func tallyScope(_ work: Int, _ round: Int) -> SelectionScope? {
        let rounds = works[work].rule.rounds
        guard round < rounds.count, case .tally(let scope, _) = rounds[round] else { return nil }
        return scope
    }
}
