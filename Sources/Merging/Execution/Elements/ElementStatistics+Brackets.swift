import LinearAlgebra
import Synchronization
import Tensors

/// Thresholds of large selections in one pass: a sample of rows and columns tells about where each lies, and the pass
/// counts that range exactly. What falls outside is left to the two passes of the histograms, so that the result never
/// depends on the sample.
extension ElementStatistics {
    /// Entries that are sampled of a selection, about.
    private static let sampleSize = 1 << 20
    /// Groups of the sample: every fourth of its rows with every fourth of its columns.
    private static let groupSide = 4

    /// - Parameters:
    ///   - wanted: k by selection.
    ///   - entries: N by selection.
    func bracketed(
        _ open: [Selection], wanted: [Key: Int], entries: [Key: Int], _ states: [ElementState]
    ) throws -> [Key: (bits: Int32, ties: Int)] {
        let large = open.filter { (entries[$0.key] ?? 0) >= smallestSampled }
        guard !large.isEmpty else { return [:] }
        let most = large.map { entries[$0.key] ?? 0 }.max() ?? 0
        let step = max(1, Int((Double(most) / Double(Self.sampleSize)).squareRoot().rounded(.up)))
        var brackets: [Key: MagnitudeBracket] = [:]
        for (key, groups) in try samples(large, step: step, states) {
            guard let k = wanted[key], let all = entries[key] else { continue }
            brackets[key] = MagnitudeBracket(groups: groups, share: Double(k) / Double(max(1, all)))
        }
        guard !brackets.isEmpty else { return [:] }
        let counted = try counts(large.filter { brackets[$0.key] != nil }, brackets, states)
        return counted.compactMapValues { $0 }.reduce(into: [:]) { result, entry in
            if let k = wanted[entry.key], let found = entry.value.threshold(ofLargest: k) { result[entry.key] = found }
        }
    }

    /// Sampled entries of each selection, by group. Selections whose updates cannot be sampled are left out.
    private func samples(
        _ selections: [Selection], step: Int, _ states: [ElementState]
    ) throws -> [Key: [[Float]]] {
        let side = Self.groupSide
        let collected = Mutex<[Key: [Int: [[Float]]]]>([:])
        try workers.run(works.count) { work in
            let own = selections.filter { $0.work == work }
            guard !own.isEmpty, let source = try works[work].load().sampled(step: step) else { return }
            var groups = [[[Float]]](repeating: [[Float]](repeating: [], count: side * side), count: own.count)
            var row = 0
            try pass(own, source, states[work]) { index, values, count in
                if index == 0 { row += 1 }
                for place in 0..<count {
                    let line = (row - 1) * source.blockHeight + place / source.columns
                    groups[index][line % side * side + place % source.columns % side].append(values[place])
                }
            }
            let found = groups
            collected.withLock { all in
                for (selection, groups) in zip(own, found) { all[selection.key, default: [:]][work] = groups }
            }
        }
        return collected.withLock { $0 }.mapValues { byWork in
            var joined = [[Float]](repeating: [], count: side * side)
            for work in byWork.keys.sorted() {
                for (group, values) in (byWork[work] ?? []).enumerated() { joined[group] += values }
            }
            return joined
        }
    }

    private func counts(
        _ selections: [Selection], _ brackets: [Key: MagnitudeBracket], _ states: [ElementState]
    ) throws -> [Key: MagnitudeBracket] {
        let all = Mutex<[Key: MagnitudeBracket]>([:])
        try workers.run(works.count) { work in
            let own = selections.filter { $0.work == work }
            var local = own.compactMap { brackets[$0.key] }
            guard !own.isEmpty, local.count == own.count else { return }
            try pass(own, works[work].load(), states[work]) { index, values, count in
                local[index].add(values, count: count)
            }
            for (selection, bracket) in zip(own, local) {
                try all.withLock { known in
                    if known[selection.key] == nil {
                        known[selection.key] = bracket
                    } else {
                        try known[selection.key]?.merge(bracket)
                    }
                }
            }
        }
        return all.withLock { $0 }
    }
}

extension ElementSource {
    /// About every `step`²-th entry: some rows with some columns of every update, at least 64 of each where there are as
    /// many; nil where the updates are formed elsewhere.
    func sampled(step: Int) -> ElementSource? {
        guard !isFormedElsewhere else { return nil }
        let rowStep = min(step, max(1, rows / 64))
        let columnStep = min(max(1, step * step / rowStep), max(1, columns / 64))
        let (kept, width) = ((rows + rowStep - 1) / rowStep, (columns + columnStep - 1) / columnStep)
        func part(_ matrix: Matrix<Float>, _ rowStep: Int, _ columnStep: Int) -> Matrix<Float> {
            let (m, n) = ((matrix.rows + rowStep - 1) / rowStep, (matrix.columns + columnStep - 1) / columnStep)
            return Matrix(rows: m, columns: n) { target in
                for i in 0..<m {
                    for j in 0..<n {
                        target[i * n + j] = matrix.elements[i * rowStep * matrix.columns + j * columnStep]
                    }
                }
            }
        }
        let parts = updates.map { update -> Update in
            switch update {
            case .lowRank(let factors):
                .lowRank(
                    LowRankFactors(
                        b: part(factors.b, rowStep, 1), a: part(factors.a, 1, columnStep), scale: factors.scale))
            case .dense(let matrix): .dense(part(matrix, rowStep, columnStep))
            }
        }
        return ElementSource(rows: kept, columns: width, updates: parts, blockHeight: min(kept, Self.usefulHeight))
    }
}
