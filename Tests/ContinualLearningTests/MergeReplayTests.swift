import Adapters
import Networks
import Testing

@testable import ContinualLearning

@Suite struct `Merges of an independent run` {
    static let settings = """
        structure: independent
        epochs: 1
        head: {kind: linear, also: [ncm, ridge], refit_epochs: 0}
        """

    /// Exact factors of a weighted sum: B and A side by side.
    static func sum(_ adapters: [Adapter], weight: Double) throws -> Adapter {
        var result = adapters[0]
        for index in result.modules.indices {
            let parts = adapters.map { $0.modules[index] }
            let b = try parts.map { try $0.b.floatMatrix(rows: $0.dOut, columns: $0.rank) }
            let a = try parts.map { try $0.a.floatMatrix(rows: $0.rank, columns: $0.dIn) }
            let rank = parts.reduce(0) { $0 + $1.rank }
            result.modules[index].rank = rank
            result.modules[index].scale *= weight
            result.modules[index].a = try Checkpoint.tensor("a", [rank, parts[0].dIn], a.flatMap(\.elements))
            let wide = b.dropFirst().reduce(b[0]) { .sideBySide([$0, $1]) }
            result.modules[index].b = try Checkpoint.tensor("b", [parts[0].dOut, rank], wide.elements)
        }
        return result
    }

    @Test func `the mean of the adapters gives what the run gave with its rule mean`() throws {
        let world = try TinyWorld()
        let run = try world.run(Self.settings)
        let outcome = try run.run()
        #expect(run.configuration.evaluationRule == .mean)
        var counts: [Int] = []
        let merged = try run.replay(recipe: "mean") { adapters in
            counts.append(adapters.count)
            #expect(adapters.allSatisfy { $0.head == nil && $0.saved.isEmpty })
            return try Self.sum(adapters, weight: 1 / Double(adapters.count))
        }
        #expect(counts == [1, 2, 3])
        #expect(merged.rule == "mean" && merged.metrics.map(\.head) == ["linear", "ncm", "ridge"])
        for (own, other) in zip(outcome.metrics, merged.metrics) {
            #expect(own.metrics.matrix.testCounts == other.metrics.matrix.testCounts)
            // The order of additions differs, so a sample on the edge may fall to the other side.
            let gap = abs((own.metrics.matrix.last ?? 0) - (other.metrics.matrix.last ?? 1))
            #expect(gap <= 1.5 / 25, "\(own.head)")
        }
    }

    @Test func `an adapter without effect gives the backbone under class means`() throws {
        let world = try TinyWorld()
        let run = try world.run(Self.settings, in: "run")
        _ = try run.run()
        let nothing = try run.replay(recipe: "nothing") { try Self.sum($0, weight: 0) }
        let bare = try world.run("structure: backbone\nepochs: 1\nhead: {kind: ncm}", in: "bare").run()
        let ncm = try #require(nothing.metrics.first { $0.head == "ncm" })
        #expect(ncm.metrics.matrix.rows == bare.matrix.rows)
    }

    @Test func `other structures and unfinished runs are refused`() throws {
        let world = try TinyWorld()
        let chain = try world.run("structure: chain\nepochs: 1", in: "chain")
        _ = try chain.run()
        let structure = failureOf { try chain.replay(recipe: "mean") { $0[0] } }
        #expect(structure?.code == .recipeBadParameter && structure?.place == "structure")
        let fresh = try world.run(Self.settings, in: "fresh")
        #expect(failureOf { try fresh.replay(recipe: "mean") { $0[0] } }?.message.contains("0 of 3 tasks") == true)
    }
}
