import Testing

@testable import Merging

@Suite struct ResultSizeTests {
    private func warnings(_ method: String, copies: Int, lambda: Double, rank: OutputRank? = .fixed(4)) throws
        -> [String]
    {
        let one = TestAdapter.set(rows: 30, columns: 40, ranks: [4], seed: 3)[0]
        let adapters = (0..<copies).map { TestAdapter("a\($0)", one.modules) }
        var trial = MergeTrial(method, adapters, ["lambda": .number(lambda)])
        trial.rank = rank
        return try trial.run().record.warnings
    }

    @Test func `a sum of copies is told to be too large, a mean is not`() throws {
        let sum = try warnings("task_arithmetic", copies: 4, lambda: 1)
        #expect(sum.count == 1 && sum[0].contains("4 times"))
        #expect(try warnings("task_arithmetic", copies: 4, lambda: 0.25).isEmpty)
        #expect(try warnings("tsv_m", copies: 4, lambda: 1, rank: nil).isEmpty)
    }

    @Test func `a vanishing result is told`() throws {
        let faint = try warnings("tsv_m", copies: 3, lambda: 0.05, rank: nil)
        #expect(faint.count == 1 && faint[0].contains("0.05 times"))
    }

    @Test func `a sum of independent adapters is plausible`() throws {
        var trial = MergeTrial("svd", TestAdapter.set(rows: 60, columns: 50, ranks: [4, 4, 4, 4], seed: 9))
        trial.rank = .keep
        #expect(try trial.run().record.warnings.isEmpty)
    }
}
