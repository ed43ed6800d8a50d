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
/// one to four passes over all entries, with whole numbers as results, so that the order of the modules does not matter.
struct ElementStatistics {
    let works: [ElementWork]
    let workers: Workers
    /// Bytes for all workers together that counting may take for itself; it looks at the entries once more with less.
    var memoryLimit = 1 << 30

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
