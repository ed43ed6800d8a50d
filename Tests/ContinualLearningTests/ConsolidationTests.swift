import Diagnostics
import LinearAlgebra
import Merging
import Settings
import Tensors
import Testing

@testable import ContinualLearning

/// Updates with factors from a counter-based generator.
enum SampleUpdates {
    static func update(
        _ site: String = "site", outputs: Int = 12, inputs: Int = 9, rank: Int, seed: UInt64, scale: Double = 1
    ) throws -> LowRankUpdate {
        let b = CounterRandom(seed: seed, stream: "b").normalMatrix(rows: outputs, columns: rank)
        let a = CounterRandom(seed: seed, stream: "a").normalMatrix(rows: rank, columns: inputs)
        return try LowRankUpdate(site: site, b: b, a: a, scale: scale)
    }

    static func merged(
        _ rule: String, _ values: [String: ParameterValue] = [:], slow: LowRankUpdate, fast: LowRankUpdate,
        rank: SlowRank = .grow, task: Int = 1, fastIsWhole: Bool = false, factors: FactorMode = .independent
    ) throws -> (update: LowRankUpdate, record: SiteConsolidation) {
        let outcome = try Consolidation.apply(
            rule: ConsolidationRule(rule, values), slow: [slow.site: slow], fast: [fast.site: fast], rank: rank,
            task: task, fastIsWhole: fastIsWhole, factors: factors)
        let update = try #require(outcome.slow[fast.site])
        return (update, try #require(outcome.sites[fast.site]))
    }
}

@Suite struct `Consolidation in factors` {
    let slow: LowRankUpdate
    let fast: LowRankUpdate

    init() throws {
        slow = try SampleUpdates.update(rank: 3, seed: 1)
        fast = try SampleUpdates.update(rank: 2, seed: 2, scale: 0.5)
    }

    func verify(
        _ rule: String, _ values: [String: ParameterValue] = [:], task: Int = 1, equals reference: Matrix<Double>
    ) throws {
        let (update, record) = try SampleUpdates.merged(rule, values, slow: slow, fast: fast, task: task)
        #expect(try update.dense().minus(reference).frobeniusNorm < 1e-12 * reference.frobeniusNorm)
        #expect(record.truncationError < 1e-12 && record.isArithmeticRight())
        #expect(abs(record.ruleNorm - reference.frobeniusNorm) < 1e-10)
    }

    @Test func `concatenation is exact`() throws {
        let (s, f) = (try slow.dense(), try fast.dense())
        try verify("ta", ["alpha": .number(0.3)], equals: s.plus(f, times: 0.3))
        try verify("ta", ["alpha": .number(-0.7)], equals: s.plus(f, times: -0.7))
        try verify("ema", ["beta": .number(0.2)], equals: s.scaled(by: 0.8).plus(f, times: 0.2))
        try verify(
            "ema", ["beta": .number(0.2), "basis": .text("absolute")],
            equals: s.scaled(by: 0.8).plus(s.plus(f), times: 0.2))
        try verify("mean", task: 3, equals: s.plus(f, times: 0.25))
        try verify("schedule", ["alpha": .number(1), "kappa": .number(0.5)], task: 3, equals: s.plus(f, times: 0.5))
        try verify("schedule", ["alpha_min": .number(0.8)], task: 3, equals: s.plus(f, times: 0.8))
    }

    @Test func `the cut is the best of its rank, and its error is the tail`() throws {
        let whole = try slow.dense().plus(fast.dense())
        let sigma = try thinSVD(whole).sigma
        for rank in 1...5 {
            let (update, record) = try SampleUpdates.merged(
                "ta", ["alpha": .number(1)], slow: slow, fast: fast, rank: .keep(rank))
            let tail = sigma.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect(update.rank == rank)
            #expect(abs(try update.dense().minus(whole).frobeniusNorm - tail) < 1e-10)
            #expect(abs(record.truncationError - tail / whole.frobeniusNorm) < 1e-10)
            #expect(abs(record.residual - tail) < 1e-10 && record.isArithmeticRight())
            #expect(abs(record.keptEnergy + record.truncationError * record.truncationError - 1) < 1e-12)
            // Balanced: BᵀB = AAᵀ.
            let left = try multiply(update.b, update.b, transposeA: true)
            #expect(left.minus(try multiply(update.a, update.a, transposeB: true)).frobeniusNorm < 1e-9)
        }
    }

    @Test func `factorwise addition is another operation`() throws {
        let wanted = try slow.dense().plus(fast.dense(), times: 0.3)
        let (naive, _) = try SampleUpdates.merged("naive-factors", slow: slow, fast: fast)
        let error = try naive.dense().minus(wanted).frobeniusNorm / wanted.frobeniusNorm
        #expect(error > 0.2)
        let empty = try LowRankUpdate(site: "site", b: Matrix<Double>(rows: 12, columns: 2), a: slow.a.rows(0..<2))
        let (first, _) = try SampleUpdates.merged("naive-factors", slow: empty, fast: fast)
        let update = try fast.dense().scaled(by: 0.3)
        #expect(try first.dense().minus(update).frobeniusNorm > 0.5 * update.frobeniusNorm)
    }

    @Test func `naive addition is exact with a common A`() throws {
        let other = try LowRankUpdate(site: "site", b: slow.b.scaled(by: -0.4).plus(slow.b, times: 0.1), a: slow.a)
        let wanted = try slow.dense().plus(other.dense(), times: 0.3)
        for rule in ["naive-factors", "ta"] {
            let (update, record) = try SampleUpdates.merged(rule, slow: slow, fast: other, factors: .sharedA)
            #expect(update.a == slow.a && record.residual == 0)
            #expect(try update.dense().minus(wanted).frobeniusNorm < 1e-12)
        }
    }

    @Test(arguments: ["tsv", "iso", "orth", "svd"]) func `rules on cores stay in the span of a common A`(
        _ rule: String
    ) throws {
        let b = CounterRandom(seed: 9, stream: "other").normalMatrix(rows: 12, columns: 3).inDouble
        let other = try LowRankUpdate(site: "site", b: b, a: slow.a)
        let free = try SampleUpdates.merged(rule, slow: slow, fast: other).update
        let (shared, record) = try SampleUpdates.merged(rule, slow: slow, fast: other, factors: .sharedA)
        #expect(shared.a == slow.a && record.residual < 1e-10)
        #expect(try shared.distance(to: free) < 1e-9)
    }

    @Test func `a rule that changes nothing leaves every bit`() throws {
        let zero = try LowRankUpdate(site: "site", b: fast.b.scaled(by: 0), a: fast.a)
        for rule in ["ta", "ties-lite", "pam-lite", "magmax", "orth", "none", "svd", "mean"] {
            let (update, record) = try SampleUpdates.merged(rule, slow: slow, fast: zero)
            #expect(update == slow && record.isInert && record.change == 0, "\(rule)")
        }
        let (same, record) = try SampleUpdates.merged("ta", ["alpha": .number(0)], slow: slow, fast: fast)
        #expect(same == slow && record.isInert)
        let (changed, other) = try SampleUpdates.merged("ta", slow: slow, fast: fast)
        #expect(changed != slow && !other.isInert && other.change > 0)
    }

    @Test func `the exponential average of absolute values is task arithmetic, and a whole LoRA is its own basis`()
        throws
    {
        let alpha: [String: ParameterValue] = ["beta": .number(0.3), "basis": .text("absolute")]
        let ema = try SampleUpdates.merged("ema", alpha, slow: slow, fast: fast).update
        let ta = try SampleUpdates.merged("ta", ["alpha": .number(0.3)], slow: slow, fast: fast).update
        #expect(try ema.distance(to: ta) < 1e-12)
        let whole = try SampleUpdates.merged("ema", alpha, slow: slow, fast: fast, fastIsWhole: true).update
        let wanted = try slow.dense().scaled(by: 0.7).plus(fast.dense(), times: 0.3)
        #expect(try whole.dense().minus(wanted).frobeniusNorm < 1e-12)
    }

    @Test func `the first consolidation starts from nothing`() throws {
        let outcome = try Consolidation.apply(
            rule: ConsolidationRule("ta", ["alpha": .number(1)]), slow: [:], fast: ["site": fast], rank: .keep(8),
            task: 0)
        let update = try #require(outcome.slow["site"])
        #expect(update.rank == 2)
        #expect(try update.distance(to: fast) < 1e-12)
        let padded = update.padded(toRank: 8, random: CounterRandom(seed: 1, stream: "pad"))
        #expect(padded.rank == 8)
        #expect(try padded.dense() == update.dense())
        #expect(padded.a.rows(2..<8).elements.allSatisfy { $0 != 0 && abs($0) <= 1.0 / 3 })
    }

    @Test func `shapes and settings that do not fit are refused`() throws {
        let other = try SampleUpdates.update(outputs: 11, rank: 2, seed: 3)
        #expect(throws: Failure.self) { try SampleUpdates.merged("ta", slow: slow, fast: other) }
        #expect(throws: Failure.self) { try ConsolidationRule("tas") }
        #expect(throws: Failure.self) { try ConsolidationRule("ta", ["alfa": .number(1)]) }
        #expect(throws: Failure.self) { try ConsolidationRule("ties", ["density": .number(2)]) }
        #expect(throws: Failure.self) { try SampleUpdates.merged("ta", slow: slow, fast: fast, factors: .sharedA) }
    }
}

@Suite struct `Consolidation on entries and directions` {
    let slow: LowRankUpdate
    let fast: LowRankUpdate
    let s: [Double]
    let f: [Double]

    init() throws {
        slow = try SampleUpdates.update(rank: 3, seed: 21)
        fast = try SampleUpdates.update(rank: 2, seed: 22)
        s = try slow.dense().elements
        f = try fast.dense().elements
    }

    /// The ⌊d·N + 1e-9⌋ largest magnitudes, others 0.
    static func trimmed(_ x: [Double], _ density: Double) -> [Double] {
        let k = Int(density * Double(x.count) + 1e-9)
        guard k > 0 else { return x.map { _ in 0 } }
        let threshold = x.map { abs($0) }.sorted(by: >)[k - 1]
        return x.map { abs($0) >= threshold ? $0 : 0 }
    }

    func verify(_ rule: String, _ values: [String: ParameterValue] = [:], task: Int = 3, _ reference: [Double]) throws {
        let (update, record) = try SampleUpdates.merged(rule, values, slow: slow, fast: fast, task: task)
        let wanted = Matrix<Double>(rows: 12, columns: 9, elements: reference)
        #expect(try update.dense().minus(wanted).frobeniusNorm < 1e-6 * wanted.frobeniusNorm, "\(rule)")
        #expect(record.isArithmeticRight(), "\(rule)")
    }

    @Test func `magmax, ties-lite and pam-lite are their formulas`() throws {
        let live = zip(s, f).map { $0 + $1 }
        try verify("magmax", [:], zip(s, live).map { abs($1) > abs($0) ? $1 : $0 })
        try verify("magmax", ["basis": .text("residual")], zip(s, f).map { abs($1) > abs($0) ? $1 : $0 })
        let top = Self.trimmed(f, 0.4)
        try verify(
            "ties-lite", ["density": .number(0.4), "alpha": .number(0.6)],
            zip(s, top).map { $0 * $1 < 0 ? $0 : $0 + 0.6 * $1 })
        let important = Self.trimmed(s, 0.3)
        try verify(
            "pam-lite", ["p": .number(0.3), "alpha": .number(0.6)],
            s.indices.map { important[$0] != 0 && f[$0] * s[$0] < 0 ? s[$0] : s[$0] + 0.6 * f[$0] })
    }

    @Test(arguments: [0, 1, 3]) func `ties is its formula`(_ task: Int) throws {
        let x = Self.trimmed(s, 0.5)
        let y = Self.trimmed(zip(s, f).map { $0 + $1 }, 0.5)
        let t = Double(task)
        let wanted = s.indices.map { i -> Double in
            let vote = t * x[i] + y[i]
            var (sum, weight) = (0.0, 0.0)
            if x[i] * vote > 0 { (sum, weight) = (sum + t * x[i], weight + t) }
            if y[i] * vote > 0 { (sum, weight) = (sum + y[i], weight + 1) }
            return weight > 0 ? 0.9 * sum / weight : 0
        }
        try verify("ties", ["lambda": .number(0.9)], task: task, wanted)
    }

    @Test func `entries give the tensor of the merge toolkit`() throws {
        let dense = [try slow.dense(), try fast.dense()]
        let pam = try MatrixMerge(
            "pam",
            parameters: [
                "space": .text("delta"), "share": .number(0.5), "resolve": .text("zero"), "combine": .text("add"),
                "alpha": .number(0.3),
            ])
        try verify("pam-lite", [:], try pam.merged(dense).elements)
        let tsv = try MatrixMerge("tsv_m")
        try verify("tsv", ["alpha": .number(0.4)], try tsv.merged(dense, weights: [1, 0.4]).elements)
        let iso = try MatrixMerge("iso_c")
        try verify("iso", ["alpha": .number(0.4)], try iso.merged(dense, weights: [1, 0.4]).elements)
    }

    @Test func `orth removes what lies in the leading directions of slow`() throws {
        let svd = try supportSVD(slow.dense(), relative: 1e-9)
        let f = try fast.dense()
        for (energy, kept) in [(1.0, 3), (0.0, 0)] {
            let u = svd.u.columns(0..<kept)
            let vt = svd.vt.rows(0..<kept)
            let left = try multiply(u, multiply(u, f, transposeA: true))
            let right = try multiply(multiply(f, vt, transposeB: true), vt)
            let block = try multiply(multiply(left, vt, transposeB: true), vt)
            let rests = [
                "block": f.minus(block), "left": f.minus(left), "right": f.minus(right),
                "both": f.minus(left).minus(right).plus(block),
            ]
            for (variant, rest) in rests {
                try verify(
                    "orth", ["variant": .text(variant), "energy": .number(energy), "alpha": .number(0.5)],
                    try slow.dense().plus(rest, times: 0.5).elements)
            }
        }
    }

    @Test func `iso flattens the spectrum and svd cuts it`() throws {
        let flat = try SampleUpdates.merged("iso", ["alpha": .number(1)], slow: slow, fast: fast).update
        let sigma = try thinSVD(flat.dense()).sigma
        #expect(flat.rank == 5 && sigma.prefix(5).allSatisfy { abs($0 - sigma[0]) < 1e-9 })
        let cut = try SampleUpdates.merged("svd", ["rank": .number(2)], slow: slow, fast: fast).update
        #expect(cut.rank == 2)
    }

    @Test(arguments: 0..<12) func `every rule keeps its arithmetic on updates of any shape`(_ trial: Int) throws {
        let random = CounterRandom(seed: 77, stream: "shape-\(trial)")
        let sizes = (0..<4).map { Int(random.word(UInt64($0)) % 14) + 1 }
        let small = try SampleUpdates.update(
            outputs: sizes[0], inputs: sizes[1], rank: sizes[2], seed: UInt64(trial), scale: 1e-3)
        let large = try SampleUpdates.update(
            outputs: sizes[0], inputs: sizes[1], rank: sizes[3], seed: UInt64(trial + 100), scale: 10)
        for rule in Consolidation.rules.map(\.description.id) {
            for rank in [SlowRank.keep(2), .grow] {
                let (update, record) = try SampleUpdates.merged(
                    rule, slow: trial % 2 == 0 ? small : large, fast: trial % 2 == 0 ? large : small, rank: rank)
                #expect(record.isArithmeticRight(slack: 1e-5 * max(1, record.ruleNorm)), "\(rule)")
                #expect(record.truncationError >= 0 && record.truncationError <= 1)
                #expect(update.rank <= min(sizes[0], sizes[1]) || update.b == small.b || update.b == large.b)
                if case .keep(let bound) = rank { #expect(update.rank <= bound) }
            }
        }
    }
}

@Suite struct `Settings of consolidation rules` {
    func read(_ text: String) throws -> ConsolidationRule {
        let node = try #require(try YAMLReader.documents(in: text).first)
        return try ConsolidationRule(FieldReader(node, what: "consolidation"), others: ["keep"])
    }

    @Test func `a mapping gives rule and settings`() throws {
        let rule = try read("rule: ties-lite\nalpha: 0.5\ndensity: 0.2\nkeep: 0\n")
        #expect(rule.id == "ties-lite" && rule.values == ["alpha": .number(0.5), "density": .number(0.2)])
        #expect(try read("keep: 0\n").id == "ta")
        let resolved = try read("rule: ties\n").resolved()
        #expect(resolved.map(\.name) == ["density", "lambda", "basis", "combine"])
    }

    @Test func `a setting of another rule is left out and named`() throws {
        let text = "rule: ta\nalpha: 0.4\ndensity: 0.5"
        #expect(try read(text).values == ["alpha": .number(0.4)])
        let fields = try FieldReader(#require(try YAMLReader.documents(in: text).first), what: "consolidation")
        #expect(ConsolidationRule.strayKeys(fields, rule: try Consolidation.method("ta")) == ["density"])
    }

    @Test(arguments: ["rule: tiess", "rule: ta\nalpha: much", "rule: ta\ndensityy: 0.5", "rule: svd\nrank: 0.5"])
    func `wrong settings are refused with their place`(_ text: String) throws {
        let failure = #expect(throws: Failure.self) { try read(text) }
        #expect(failure?.place?.contains("line") == true)
    }
}
