import Adapters
import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// Adapters from tuned weights, against a Jacobi decomposition of the difference.
@Suite struct ExtractionTests {
    /// W' − W with the given singular values in random directions.
    private static func change(_ rows: Int, _ columns: Int, _ sigma: [Double], _ random: inout SplitMix) -> Dense {
        let (u, v) = (random.orthogonal(rows), random.orthogonal(columns))
        var result = Dense(rows, columns)
        for (k, value) in sigma.enumerated() {
            for i in 0..<rows { for j in 0..<columns { result[i, j] += value * u[i, k] * v[j, k] } }
        }
        return result
    }

    private struct Trial {
        let folder: String
        /// W' − W as the files hold it.
        let difference: Dense
        let outcome: MergeOutcome
        var module: MergeRecord.Module { outcome.record.modules[0] }
        var rank: Int { module.rankOut }
        var error: Double { (try? (outcome.delta("layer") - difference).norm) ?? .infinity }
    }

    private static func trial(
        _ change: Dense, _ rank: OutputRank, memory: Int = 1 << 30, threads: Int = 1
    ) throws -> Trial {
        var random = SplitMix(7)
        let base = random.matrix(change.rows, change.columns)
        let tuned = base + change
        let folder = NSTemporaryDirectory() + "extraction-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var stored: [Dense] = []
        for (name, weights) in [("base", base), ("tuned", tuned)] {
            let tensor = try view(weights.values, [weights.rows, weights.columns], .f32, "layer.weight")
            stored.append(Dense(weights.rows, weights.columns, try tensor.doubles()))
            try SafetensorsWriter.write([tensor], to: "\(folder)/\(name).safetensors")
        }
        var options = Extraction.Options()
        options.rank = rank
        options.memoryLimitBytes = memory
        options.threads = threads
        options.seed = 5
        let record = try Extraction.run(
            base: try Checkpoint.require(path: folder + "/base.safetensors"),
            tuned: try Checkpoint.require(path: folder + "/tuned.safetensors"), options: options,
            to: .folder(folder + "/out"))
        return Trial(
            folder: folder, difference: stored[1] - stored[0], outcome: try MergeOutcome(record, folder + "/out"))
    }

    @Test func `the exact decomposition gives the best approximation`() throws {
        var random = SplitMix(1)
        let change = Self.change(40, 30, (0..<30).map { pow(0.8, Double($0)) }, &random)
        let trial = try Self.trial(change, .fixed(6))
        let sigma = JacobiSVD(trial.difference).sigma
        let best = sigma.dropFirst(6).reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(trial.rank == 6)
        #expect(trial.module.method == "svd")
        #expect(abs(trial.error - best) < 1e-5 * best)
        let total = sigma.reduce(0) { $0 + $1 * $1 }
        #expect(abs(trial.module.discardedEnergy - best * best / total) < 1e-6)
    }

    @Test(arguments: [1, 2]) func `the randomised one stays near it and below the limit`(_ threads: Int) throws {
        var random = SplitMix(2)
        let change = Self.change(90, 70, (0..<70).map { pow(0.85, Double($0)) }, &random)
        // Half of the limit is less than the matrix: it is formed block by block.
        let trial = try Self.trial(change, .fixed(8), memory: 40_000, threads: threads)
        #expect(trial.module.method == "randomised_svd")
        #expect(trial.rank == 8)
        let sigma = JacobiSVD(trial.difference).sigma
        let best = sigma.dropFirst(8).reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(trial.error >= best * (1 - 1e-5))
        #expect(trial.error <= best * 1.005, "\(trial.error) against \(best)")
        let total = sigma.reduce(0) { $0 + $1 * $1 }
        #expect(abs(trial.module.discardedEnergy - trial.error * trial.error / total) < 1e-4)
    }

    @Test func `it draws the same numbers on any number of threads`() throws {
        var random = SplitMix(3)
        let change = Self.change(90, 70, (0..<70).map { pow(0.9, Double($0)) }, &random)
        let one = try Self.trial(change, .fixed(5), memory: 40_000, threads: 1)
        let two = try Self.trial(change, .fixed(5), memory: 40_000, threads: 2)
        #expect(one.outcome.bytes == two.outcome.bytes)
    }

    @Test(arguments: [0.5, 0.9, 0.99, 0.9999]) func `the energy rule keeps the fewest that hold the share`(
        _ share: Double
    ) throws {
        var random = SplitMix(4)
        let change = Self.change(30, 24, (0..<24).map { pow(0.7, Double($0)) }, &random)
        let trial = try Self.trial(change, .energy(share))
        let energies = JacobiSVD(trial.difference).sigma.map { $0 * $0 }
        let total = energies.reduce(0, +)
        let kept = energies.prefix(trial.rank).reduce(0, +)
        #expect(kept >= share * total * (1 - 1e-7))
        #expect(energies.prefix(trial.rank - 1).reduce(0, +) < share * total)
        #expect(trial.error <= ((1 - share) * total).squareRoot() * (1 + 1e-4))
    }

    @Test(arguments: [0.5, 0.1, 0.01]) func `the tail rule keeps the fewest whose error is small enough`(
        _ error: Double
    ) throws {
        var random = SplitMix(5)
        let change = Self.change(24, 30, (0..<24).map { pow(0.7, Double($0)) }, &random)
        let trial = try Self.trial(change, .tail(error))
        let energies = JacobiSVD(trial.difference).sigma.map { $0 * $0 }
        let total = energies.reduce(0, +)
        #expect(energies.dropFirst(trial.rank).reduce(0, +) <= error * error * total * (1 + 1e-6))
        #expect(energies.dropFirst(trial.rank - 1).reduce(0, +) > error * error * total)
        #expect(trial.error <= error * total.squareRoot() * (1 + 1e-3))
    }

    @Test func `the rules hold block by block too`() throws {
        var random = SplitMix(6)
        let change = Self.change(90, 70, (0..<70).map { pow(0.6, Double($0)) }, &random)
        for rule in [OutputRank.energy(0.99), .tail(0.1)] {
            let whole = try Self.trial(change, rule)
            let streamed = try Self.trial(change, rule, memory: 40_000)
            #expect(streamed.module.method == "randomised_svd" && whole.module.method == "svd")
            #expect(streamed.rank == whole.rank)
            #expect(abs(streamed.error - whole.error) < 0.01 * whole.error)
        }
    }
}
