import Foundation
import Networks
import Testing

@testable import Routing

/// Every term of the loss against central differences on the scores: masks, temperature, both signs, all loads.
@Suite struct LossGradientTests {
    static let rows = 23
    static let outputs = 5
    static let units = 7

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let loss: any RouterLoss
    }

    static let cases: [Case] = {
        var cases: [Case] = []
        for load in BalanceLoss.Load.allCases {
            for factor in [BalanceLoss.Factor.one, .experts] {
                for pool in BalanceLoss.Pool.allCases {
                    cases.append(
                        Case(
                            testDescription: "balance \(load) \(factor) \(pool)",
                            loss: BalanceLoss(load: load, factor: factor, pool: pool)))
                }
            }
        }
        for sign in EntropyLoss.Sign.allCases {
            cases.append(Case(testDescription: "entropy \(sign)", loss: EntropyLoss(sign)))
        }
        return cases + [
            Case(testDescription: "mi", loss: MutualInformationLoss()), Case(testDescription: "z", loss: ZLoss()),
            Case(testDescription: "cv", loss: ImportanceVariation()),
            Case(testDescription: "loramoe", loss: TaskConstraint(delta: 0.3)),
            Case(testDescription: "domain", loss: DomainCrossEntropy()),
        ]
    }()

    /// A batch with these scores.
    static func batch(_ z: [Double], masked: Bool, temperature: Double) -> RouterBatch {
        let offsets = [0, 4, 9, 15, rows]
        var batch = RouterBatch(
            rows: rows, outputs: outputs, units: units, temperature: temperature, active: 2, offsets: offsets)
        let rule = MixingRule(
            RoutingOptions(mode: .soft), temperature: temperature, experts: outputs, nullExpert: false)
        batch.z = z
        for row in 0..<rows {
            let (p, logP, _) = rule.decide(Array(z[row * outputs..<(row + 1) * outputs]))
            batch.p.replaceSubrange(row * outputs..<(row + 1) * outputs, with: p)
            batch.logP.replaceSubrange(row * outputs..<(row + 1) * outputs, with: logP)
        }
        if masked { batch.mask = (0..<rows).map { $0 % 5 != 2 } }
        batch.domains = [3, nil, 0, 1]
        batch.labels = [2, 0, nil, 6]
        return batch
    }

    @Test(arguments: cases)
    func `gradients follow the value`(_ item: Case) throws {
        for masked in [false, true] {
            for temperature in [1, 0.7] {
                let z: [Double] = Noise.numbers(Self.rows * Self.outputs, seed: 21, scale: 1.5)
                var batch = Self.batch(z, masked: masked, temperature: temperature)
                // Loads are constants of the gradient: hold them while the scores move.
                let load = (item.loss as? BalanceLoss).flatMap { $0.load == .soft ? nil : $0 }
                let numeric = numericGradient(z) { moved in
                    var other = Self.batch(moved, masked: masked, temperature: temperature)
                    if let load { return Self.balance(load, at: batch, of: other) }
                    return item.loss.evaluate(&other, scale: 1)
                }
                let before = batch
                _ = item.loss.evaluate(&batch, scale: 1)
                #expect(relativeError(batch.dz, numeric) < 1e-6, "masked \(masked), τ \(temperature)")
                var twice = before
                _ = item.loss.evaluate(&twice, scale: 2)
                #expect(relativeError(twice.dz, batch.dz.map { 2 * $0 }) < 1e-12)
            }
        }
    }

    /// Σ p̄·f̄ with f̄ of one batch and p̄ of another, written out.
    static func balance(_ loss: BalanceLoss, at fixed: RouterBatch, of moving: RouterBatch) -> Double {
        let ranges = loss.pool == .batch ? [0..<rows] : zip(fixed.offsets, fixed.offsets.dropFirst()).map { $0..<$1 }
        let factor = loss.factor == .one ? 1 : Double(outputs)
        var total = 0.0
        for range in ranges {
            let counted = range.filter { fixed.counts($0) }
            var (mean, load) = ([Double](repeating: 0, count: outputs), [Double](repeating: 0, count: outputs))
            for row in counted {
                let p = Array(fixed.p[row * outputs..<(row + 1) * outputs])
                let order = p.indices.sorted { (-p[$0], $0) < (-p[$1], $1) }
                switch loss.load {
                case .top1: load[order[0]] += 1
                case .topk: for i in order.prefix(2) { load[i] += 0.5 }
                case .mass: for i in order.prefix(2) { load[i] += p[i] / (p[order[0]] + p[order[1]]) }
                case .soft: for i in p.indices { load[i] += p[i] }
                }
                for i in 0..<outputs { mean[i] += moving.p[row * outputs + i] }
            }
            let n = Double(counted.count)
            total += factor / Double(ranges.count) * zip(mean, load).reduce(0) { $0 + $1.0 * $1.1 } / (n * n)
        }
        return total
    }

    @Test func `classes behind prototypes learn through their units`() throws {
        let z: [Double] = Noise.numbers(Self.rows * Self.outputs, seed: 22)
        let u: [Double] = Noise.numbers(Self.rows * Self.units, seed: 23, scale: 2)
        var batch = Self.batch(z, masked: true, temperature: 1)
        batch.u = u
        let numeric = numericGradient(u) { moved in
            var other = Self.batch(z, masked: true, temperature: 1)
            other.u = moved
            return ClassCrossEntropy().evaluate(&other, scale: 1)
        }
        _ = ClassCrossEntropy().evaluate(&batch, scale: 1)
        #expect(relativeError(batch.du, numeric) < 1e-6)
    }

    @Test func `uniform routing has balance 1, entropy ln E, and no entropy gradient`() throws {
        var batch = Self.batch(Array(repeating: 0.4, count: Self.rows * Self.outputs), masked: false, temperature: 1)
        #expect(abs(BalanceLoss().evaluate(&batch, scale: 0) - 1) < 1e-12)
        batch.dz = batch.dz.map { _ in 0 }
        let value = EntropyLoss(.sharpen).evaluate(&batch, scale: 1)
        #expect(abs(value - log(5)) < 1e-12)
        #expect(batch.dz.allSatisfy { abs($0) < 1e-15 })
    }

    @Test func `sharpen lowers the entropy of decisions, printed raises it`() throws {
        let z: [Double] = Noise.numbers(Self.rows * Self.outputs, seed: 24, scale: 1)
        func entropy(_ z: [Double]) -> Double {
            var batch = Self.batch(z, masked: false, temperature: 1)
            return EntropyLoss(.sharpen).evaluate(&batch, scale: 0)
        }
        for sign in EntropyLoss.Sign.allCases {
            var batch = Self.batch(z, masked: false, temperature: 1)
            _ = EntropyLoss(sign).evaluate(&batch, scale: 1)
            let moved = zip(z, batch.dz).map { $0 - 1e-2 * $1 }
            #expect((entropy(moved) < entropy(z)) == (sign == .sharpen), "\(sign)")
        }
    }

    @Test func `adding a constant to the scores changes no loss but the z-loss`() throws {
        let z: [Double] = Noise.numbers(Self.rows * Self.outputs, seed: 25)
        for item in Self.cases {
            var first = Self.batch(z, masked: true, temperature: 0.7)
            var second = Self.batch(z.map { $0 + 3 }, masked: true, temperature: 0.7)
            let (a, b) = (item.loss.evaluate(&first, scale: 1), item.loss.evaluate(&second, scale: 1))
            if item.loss is ZLoss { #expect(abs(a - b) > 1) } else { #expect(abs(a - b) < 1e-9, "\(item)") }
        }
    }

    @Test func `one expert has probability 1 and nothing to learn from the paper's loss`() throws {
        var batch = RouterBatch(rows: 3, outputs: 1, units: 1, temperature: 1, active: 1, offsets: [0, 3])
        (batch.z, batch.p) = ([2, -1, 0], [1, 1, 1])
        for term in LossOptions().terms { _ = term.loss.evaluate(&batch, scale: 1) }
        #expect(batch.dz == [0, 0, 0])
    }

    @Test func `presets are what the reference says`() throws {
        func terms(_ preset: LossOptions.Preset) -> [String] {
            var options = LossOptions()
            (options.preset, options.alpha, options.lambda) = (preset, 0.5, 0.25)
            return options.terms.map { "\($0.name) \($0.coefficient) \($0.ramp)" }
        }
        #expect(terms(.rslPrinted) == ["balance 0.5 0.0", "entropy 0.25 0.0"])
        #expect(terms(.rslSharpen) == ["balance 0.5 0.0", "entropy 0.25 0.3"])
        #expect(terms(.sblV1) == ["balance 0.25 0.0", "entropy 0.125 0.0"])
        #expect(terms(.aux) == ["balance 0.5 0.0"])
        #expect(terms(.mi) == ["mi 0.25 0.0"])
        #expect(terms(.none).isEmpty)
        let printed = LossOptions().terms.compactMap { $0.loss as? EntropyLoss }.first
        #expect(printed?.sign == .printed)
        #expect(WeightedLoss(EntropyLoss(.sharpen), 1, ramp: 0.3).coefficient(at: 14, of: 100) == 0.5)
    }
}
