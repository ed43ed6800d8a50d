import LinearAlgebra
import Tensors
import Testing

@testable import ContinualLearning

@Suite struct `Directions of updates` {
    @Test func `a spectrum is that of the dense update`() throws {
        let update = try SampleUpdates.update(rank: 4, seed: 31)
        let spectrum = try UpdateSpectrum(update)
        let dense = try thinSVD(update.dense()).sigma
        #expect(zip(spectrum.sigma, dense).allSatisfy { abs($0 - $1) < 1e-10 * dense[0] })
        let norm = try update.norm()
        #expect(abs(spectrum.norm - norm) < 1e-10)
        #expect(abs(try #require(spectrum.energy(top: 4)) - 1) < 1e-12)
    }

    @Test func `effective and stable rank of known spectra`() throws {
        let flat = UpdateSpectrum(sigma: [2, 2, 2])
        #expect(abs(try #require(flat.effectiveRank) - 3) < 1e-12 && flat.stableRank == 3)
        let steep = UpdateSpectrum(sigma: [1, 0, 0])
        #expect(steep.effectiveRank == 1 && steep.stableRank == 1 && steep.energy(top: 1) == 1)
        let zero = UpdateSpectrum(sigma: [0, 0])
        #expect(zero.effectiveRank == nil && zero.stableRank == nil && zero.energy(top: 1) == nil)
    }

    @Test func `an update overlaps itself fully and an orthogonal one not at all`() throws {
        let update = try SampleUpdates.update(rank: 3, seed: 32)
        let same = try UpdateOverlap(update, update.scaled(by: 2), energy: 1)
        #expect(abs(try #require(same.cosine) - 1) < 1e-10 && same.signAgreement == 1 && same.conflictMass == 0)
        #expect(abs(try #require(same.left) - 1) < 1e-9)
        #expect(abs(try #require(same.right) - 1) < 1e-9)
        #expect(abs(try #require(same.shareInside) - 1) < 1e-9)
        let opposed = try UpdateOverlap(update.scaled(by: -1), update)
        #expect(abs(try #require(opposed.cosine) + 1) < 1e-10 && opposed.conflictMass == 1)
        let columns = Matrix<Double>.identity(6)
        let first = try LowRankUpdate(site: "s", b: columns.columns(0..<2), a: columns.rows(0..<2))
        let second = try LowRankUpdate(site: "s", b: columns.columns(2..<4), a: columns.rows(2..<4))
        let apart = try UpdateOverlap(first, second)
        #expect(apart.cosine == 0 && apart.left == 0 && apart.right == 0 && apart.shareInside == 0)
        #expect(apart.signAgreement == nil)
    }

    @Test func `overlaps are those of dense singular vectors`() throws {
        let a = try SampleUpdates.update(rank: 3, seed: 33)
        let b = try SampleUpdates.update(rank: 2, seed: 34)
        let (x, y) = (try thinSVD(a.dense()).truncated(to: 3), try thinSVD(b.dense()).truncated(to: 2))
        let overlap = try UpdateOverlap(a, b, energy: 1)
        let left = try multiply(x.u, y.u, transposeA: true).frobeniusNorm
        #expect(abs(try #require(overlap.left) - left * left / 2) < 1e-9)
        let inside = try multiply(multiply(y.u, a.dense(), transposeA: true), y.vt, transposeB: true).frobeniusNorm
        let norm = try a.norm()
        #expect(abs(try #require(overlap.shareInside) - inside * inside / (norm * norm)) < 1e-9)
    }

    @Test func `files hold one line per value and site`() throws {
        var analysis = DirectionAnalysis()
        let a = [
            "x": try SampleUpdates.update("x", rank: 2, seed: 35),
            "y": try SampleUpdates.update("y", rank: 3, seed: 36),
        ]
        try analysis.addSpectra(slot: "fast", task: 0, updates: a)
        try analysis.addOverlap("fast@0", a, "slow@0", ["x": SampleUpdates.update("x", rank: 1, seed: 37)])
        #expect(analysis.spectraCSV.split(separator: "\n").count == 6)
        let lines = analysis.overlapCSV.split(separator: "\n")
        #expect(lines.count == 3 && lines[1].hasPrefix("fast@0,slow@0,x,") && lines[2].hasPrefix("fast@0,slow@0,all,"))
        #expect(lines.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == 9 })
        let zero = try LowRankUpdate.zero(site: "x", outputs: 12, inputs: 9)
        try analysis.addOverlap("fast@1", ["x": zero], "slow@0", a)
        #expect(analysis.overlapCSV.contains("fast@1,slow@0,x,,,,,,\n"))
    }
}
