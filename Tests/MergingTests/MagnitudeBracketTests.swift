import Foundation
import LinearAlgebra
import Tensors
import Testing

@testable import Merging

/// Thresholds in one pass, against the two passes of the histograms.
@Suite struct MagnitudeBracketTests {
    private enum Entries: String, CaseIterable, Sendable {
        case plain, rowsOfAllSizes, columnsOfAllSizes, fallingRows, equal, mostlyZero, outliersAtTheEnd
    }

    private func factors(_ kind: Entries, _ rows: Int, _ columns: Int, rank: Int = 3, seed: UInt64) -> LowRankFactors {
        var random = SplitMix(seed)
        var b = Matrix(rows: rows, columns: rank, elements: random.matrix(rows, rank).values.map { Float($0) })
        var a = Matrix(rows: rank, columns: columns, elements: random.matrix(rank, columns).values.map { Float($0) })
        func scaleRow(_ i: Int, _ factor: Float) { for j in 0..<rank { b[i, j] *= factor } }
        switch kind {
        case .plain: break
        case .rowsOfAllSizes: for i in 0..<rows { scaleRow(i, Float(pow(10, 6 * random.uniform() - 3))) }
        case .columnsOfAllSizes:
            for j in 0..<columns {
                let factor = Float(pow(10, 6 * random.uniform() - 3))
                for i in 0..<rank { a[i, j] *= factor }
            }
        case .fallingRows: for i in 0..<rows { scaleRow(i, Float(pow(0.97, Double(i)))) }
        case .equal:
            for i in 0..<rows { for j in 0..<rank { b[i, j] = j == 0 ? 1 : 0 } }
            for j in 0..<columns { a[0, j] = j % 2 == 0 ? 0.5 : -0.5 }
        case .mostlyZero: for i in 0..<rows where i % 10 != 0 { scaleRow(i, 0) }
        case .outliersAtTheEnd: for i in max(0, rows - 3)..<rows { scaleRow(i, 1e4) }
        }
        return LowRankFactors(b: b, a: a, scale: 0.7)
    }

    private func thresholds(
        _ sources: [ElementSource], shares: [Double], shared: Bool, sampledFrom smallest: Int, threads: Int = 2
    ) throws -> [[MagnitudeThreshold]] {
        let selections = shares.enumerated().map { operand, share in
            MagnitudeSelection(
                quantity: .operand(operand),
                scope: shared ? .adapter(.init(operand: operand, share: share)) : .tensor, exact: !shared,
                count: { entries, _ in Int(share * Double(entries)) })
        }
        let rule = ElementRule(rounds: [.select(selections)]) { _, _, _ in }
        let works = sources.map { source in
            ElementWork(rule: rule, rows: source.rows, columns: source.columns) { source }
        }
        var statistics = ElementStatistics(works: works, workers: Workers(threads: threads, isCancelled: { false }))
        statistics.smallestSampled = smallest
        return try statistics.collect().map { $0.thresholds[0] }
    }

    @Test(arguments: [false, true]) func `one pass finds what two passes find, whatever the entries`(
        shared: Bool
    ) throws {
        for kind in Entries.allCases {
            let sources = [(150, 220), (90, 64), (1, 300)].enumerated().map { index, size in
                ElementSource(
                    rows: size.0, columns: size.1,
                    updates: (0..<3).map { operand in
                        .lowRank(factors(kind, size.0, size.1, seed: UInt64(10 * index + operand)))
                    }, blockHeight: 37)
            }
            let shares = [0.2, 0.5, 0.01]
            let sampled = try thresholds(sources, shares: shares, shared: shared, sampledFrom: 0)
            let counted = try thresholds(sources, shares: shares, shared: shared, sampledFrom: .max)
            #expect(sampled == counted, "\(kind)")
            let one = try thresholds(sources, shares: shares, shared: shared, sampledFrom: 0, threads: 1)
            #expect(one == sampled, "\(kind)")
        }
    }

    @Test func `a sample of plain entries gives a narrow range that holds the threshold`() throws {
        let update = factors(.plain, 600, 700, rank: 16, seed: 5)
        let entries = try update.dense().elements
        let k = entries.count / 5
        let expected = entries.map { $0.bitPattern & 0x7FFF_FFFF }.sorted(by: >)[k - 1]
        let source = try #require(
            ElementSource(rows: 600, columns: 700, updates: [.lowRank(update)], blockHeight: 64).sampled(step: 1))
        var groups = [[Float]](repeating: [], count: 16)
        var line = 0
        try source.forEachBlock { range, chunk in
            for place in 0..<chunk.count {
                let row = line + place / source.columns
                groups[row % 4 * 4 + place % source.columns % 4].append(chunk.operand(0)[place])
            }
            line += range.count
        }
        var bracket = try #require(MagnitudeBracket(groups: groups, share: 0.2))
        entries.withUnsafeBufferPointer { if let base = $0.baseAddress { bracket.add(base, count: $0.count) } }
        let found = try #require(bracket.threshold(ofLargest: k))
        #expect(found.bits == Int32(bitPattern: expected))
        #expect(bracket.bins.count <= MagnitudeBracket.widest)
        // Outside of the range nothing is claimed.
        #expect(bracket.threshold(ofLargest: 1) == nil)
        #expect(bracket.threshold(ofLargest: entries.count) == nil)
    }

    @Test func `samples that scatter widely, or are few, give no range`() {
        let scattered = (0..<16).map { group in (0..<100).map { Float($0 + 1) * Float(1 << group) } }
        #expect(MagnitudeBracket(groups: scattered, share: 0.3) == nil)
        let few = (0..<16).map { _ in [Float](repeating: 1, count: 20) }
        #expect(MagnitudeBracket(groups: few, share: 0.3) == nil)
    }
}
