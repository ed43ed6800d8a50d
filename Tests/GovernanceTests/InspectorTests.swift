import Adapters
import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Governance

@Suite struct InspectorTests {
    @Test func `the statistics are those of a known update`() throws {
        // ΔW = 2 · diag(3, 1) on the first two of four outputs and three inputs.
        let module = try Sample.module(
            "m", a: [1, 0, 0, 0, 1, 0], b: [3, 0, 0, 1, 0, 0, 0, 0], rank: 2, scale: 2)
        let report = Inspector.inspect(Sample.adapter([module]))
        #expect(report.verdict == .clean)
        let statistics = try #require(report.modules.first)
        #expect(abs(statistics.sigma1 - 6) < 1e-12)
        #expect(abs(statistics.singularValues[1] - 2) < 1e-12)
        #expect(abs(statistics.frobenius - 40.0.squareRoot()) < 1e-12)
        #expect(abs(statistics.stableRank - 40.0 / 36) < 1e-12)
        #expect(abs(statistics.energyShare - 0.9) < 1e-12)
        let entropy = -(0.9 * log(0.9) + 0.1 * log(0.1)) / log(2.0)
        #expect(abs(statistics.entropy - entropy) < 1e-12)
        // Entries: 6, 2 and ten zeros.
        let values = [6.0, 2] + [Double](repeating: 0, count: 10)
        let mean = values.reduce(0, +) / 12
        let second = values.reduce(0) { $0 + pow($1 - mean, 2) } / 12
        let fourth = values.reduce(0) { $0 + pow($1 - mean, 4) } / 12
        #expect(abs(statistics.kurtosis - fourth / (second * second)) < 1e-9)
        #expect(!statistics.kurtosisIsSampled)
        #expect(statistics.largestFactorEntry == 3)
        #expect(statistics.zeroShare == 10.0 / 14)
        #expect(!statistics.hasConstantFactor)
    }

    @Test func `a large module is sampled for kurtosis only`() throws {
        let module = try Sample.random("m", rank: 3, dOut: 400, dIn: 300, seed: 5)
        let statistics = try #require(Inspector.inspect(Sample.adapter([module])).modules.first)
        #expect(statistics.kurtosisIsSampled)
        let factors = try module.factors()
        let exact = EntryKurtosis.kurtosis(factors.dense().elements.map(Double.init))
        #expect(abs(statistics.kurtosis - exact) < 0.15 * exact)
        let energy = factors.dense().elements.reduce(0.0) { $0 + Double($1) * Double($1) }
        #expect(abs(statistics.frobenius * statistics.frobenius - energy) < 1e-5 * energy)
    }

    @Test func `the report does not depend on the number of workers`() throws {
        let modules = try (0..<9).map { try Sample.random("layers.\($0).q", seed: UInt64(3 * $0 + 1)) }
        let reports = [1, 2, 5].map { threads in
            var options = Inspector.Options()
            options.threads = threads
            return Inspector.inspect(Sample.adapter(modules), options: options)
        }
        for report in reports {
            #expect(report.modules.map(\.name) == modules.map(\.name))
            #expect(report.modules.map(\.singularValues) == reports[0].modules.map(\.singularValues))
            #expect(report.modules.map(\.kurtosis) == reports[0].modules.map(\.kurtosis))
        }
    }

    // MARK: Values

    @Test(arguments: [DType.f32, .f16, .bf16, .f64])
    func `NaN comes before infinity, in every type`(dtype: DType) throws {
        var a = Sample.numbers(64, seed: 1)
        a[5] = .infinity
        var b = Sample.numbers(64, seed: 2)
        let broken = try Sample.module("b", a: a, b: b, rank: 4, dtype: dtype)
        #expect(Inspector.inspect(Sample.adapter([broken])).failure?.code == .weightsInf)
        b[9] = .nan
        let worse = try Sample.module("a", a: Sample.numbers(64, seed: 3), b: b, rank: 4, dtype: dtype)
        let report = Inspector.inspect(Sample.adapter([broken, worse]))
        #expect(report.verdict == .refused)
        #expect(report.failure?.code == .weightsNan)
        #expect(report.failure?.place == "a.lora_B.weight")
        #expect(report.findings.last?.level == .error)
        #expect(report.findings.last?.code == "weights.nan")
        #expect(throws: Failure.self) { try report.throwIfRefused() }
    }

    @Test func `saved tensors, magnitudes, biases and unclaimed tensors are looked at`() throws {
        let bad = try Sample.tensor("bad", [2], [1, .nan])
        let module = try Sample.random("m", seed: 1)
        let saved = SavedTensor(name: "head", role: .savedModule, tensor: bad)
        #expect(Inspector.inspect(Sample.adapter([module], saved: [saved])).failure?.place == "bad")
        var withMagnitude = module
        withMagnitude.magnitude = bad
        #expect(Inspector.inspect(Sample.adapter([withMagnitude])).failure?.code == .weightsNan)
        var withBias = module
        withBias.bias = bad
        #expect(Inspector.inspect(Sample.adapter([withBias])).failure?.code == .weightsNan)
        var adapter = Sample.adapter([module])
        adapter.unclaimed = [bad]
        #expect(Inspector.inspect(adapter).failure?.code == .weightsNan)
        let integers = try TensorBuffer(name: "steps", dtype: .i64, shape: [3]).view
        adapter.unclaimed = [integers]
        #expect(Inspector.inspect(adapter).verdict == .clean)
    }

    @Test func `doubles beyond 32 bits count as infinite`() throws {
        let huge = try TensorBuffer(name: "huge", dtype: .f64, shape: [1])
        huge.bytes.storeBytes(of: 1e300, as: Double.self)
        var adapter = Sample.adapter([try Sample.random("m", seed: 1)])
        adapter.unclaimed = [huge.view]
        #expect(Inspector.inspect(adapter).failure?.code == .weightsInf)
    }

    @Test func `an update that overflows is refused, one that only might is not`() throws {
        let large = [Float](repeating: 1e20, count: 8)
        let overflowing = try Sample.module("m", a: large, b: large, rank: 2)
        #expect(Inspector.inspect(Sample.adapter([overflowing])).failure?.code == .weightsNonfiniteDelta)
        // The bound fails, the products cancel.
        let cancelling = try Sample.module(
            "m", a: [1e20, 1e20, 1e20, 1e20], b: [1e19, -1e19, 1e19, -1e19], rank: 2)
        #expect(Inspector.inspect(Sample.adapter([cancelling])).verdict == .clean)
        let scaled = try Sample.module("m", a: [1e10, 2], b: [1e10, 1], rank: 1, scale: 1e30)
        #expect(Inspector.inspect(Sample.adapter([scaled])).failure?.code == .weightsNonfiniteDelta)
    }

    @Test func `zero updates`() throws {
        let zero = try Sample.module("z", a: Sample.numbers(8, seed: 1), b: [Float](repeating: 0, count: 8), rank: 2)
        let all = Inspector.inspect(Sample.adapter([zero]))
        #expect(all.findings.map(\.code) == ["weights.zero_delta"])
        #expect(all.modules[0].stableRank == 0 && all.modules[0].entropy == 0 && all.modules[0].kurtosis == 0)
        let some = Inspector.inspect(Sample.adapter([try Sample.random("m", seed: 2), zero]))
        #expect(some.findings.map(\.code) == ["weights.zero_module"])
        #expect(some.findings.map(\.place) == ["z"])
        let scaled = try Sample.module("s", a: [1, 2], b: [1, 2], rank: 1, scale: 0)
        #expect(Inspector.inspect(Sample.adapter([scaled])).findings.map(\.code) == ["weights.zero_delta"])
    }

    // MARK: Outliers

    private func layers(_ count: Int, role: String = "q", edit: (Int) -> Float = { _ in 1 }) throws -> [LoRAModule] {
        try (0..<count).map { try Sample.random("layers.\($0).\(role)", seed: UInt64(11 * $0 + 3), scale: edit($0)) }
    }

    @Test func `one module of a thousand times the norm stands out among six`() throws {
        let report = Inspector.inspect(Sample.adapter(try layers(6) { $0 == 2 ? 1000 : 1 }))
        #expect(report.findings.map(\.code) == ["weights.outlier"])
        #expect(report.findings.map(\.place) == ["layers.2.q"])
        #expect(report.verdict == .warnings)
        #expect(Inspector.inspect(Sample.adapter(try layers(5) { $0 == 2 ? 1000 : 1 })).verdict == .clean)
        #expect(Inspector.inspect(Sample.adapter(try layers(12) { $0 % 2 == 0 ? 1 : 1.3 })).verdict == .clean)
    }

    @Test func `modules of other roles are no peers`() throws {
        let small = try layers(6)
        let large = try layers(6, role: "fc") { _ in 1000 }
        #expect(Inspector.inspect(Sample.adapter(small + large)).verdict == .clean)
        #expect(ModuleRole.role(of: "model.layers.17.self_attn.q_proj") == "model.layers.*.self_attn.q_proj")
        #expect(ModuleRole.role(of: "0.a1.2") == "*.a1.*")
    }

    @Test func `a rank-one update among spread ones has another spectrum`() throws {
        var modules = try layers(8)
        let ones = [Float](repeating: 0.4, count: 64)
        modules[3] = try Sample.module("layers.3.q", a: ones, b: ones, rank: 4)
        let report = Inspector.inspect(Sample.adapter(modules))
        #expect(report.findings.contains { $0.code == "weights.spectral_outlier" && $0.place == "layers.3.q" })
        #expect(report.modules[3].hasConstantFactor)
        #expect(report.modules[3].energyShare > 0.999)
    }

    @Test func `the bank's other adapters are peers too`() throws {
        let module = try Sample.random("m", seed: 1)
        var options = Inspector.Options()
        let norm = try #require(Inspector.inspect(Sample.adapter([module])).modules.first).frobenius
        options.peerNorms = ["m": (0..<20).map { norm * (100 + Double($0)) }]
        #expect(
            Inspector.inspect(Sample.adapter([module]), options: options).findings.map(\.code) == ["weights.outlier"])
        options.peerNorms = ["m": (0..<19).map { norm * (100 + Double($0)) }]
        #expect(Inspector.inspect(Sample.adapter([module]), options: options).verdict == .clean)
    }

    @Test func `robust scores`() {
        #expect(RobustScore.median([]) == 0)
        #expect(RobustScore.median([3, 1, 2]) == 2)
        #expect(RobustScore.median([4, 1, 2, 3]) == 2.5)
        let scores = RobustScore.scores([1, 2, 3, 4, 100], floor: 0)
        #expect(abs(scores[4] - 0.6745 * 97) < 1e-12)
        #expect(RobustScore.scores([1, 1, 1, 2], floor: 1)[3] == 0.6745)
    }

    // MARK: Text

    @Test(arguments: [
        ("meta-llama/Llama-3-8B", false), ("vit-tiny28", false), ("", false), ("https://example.org/a/b/c", false),
        ("/home/a/model", true), ("./model", true), ("../model", true), ("~/model", true), ("a/b/c", true),
        ("a/../b", true), (#"C:\models\x"#, true), ("d:/x", true), ("file:///x", true), (#"models\7b\x"#, true),
    ])
    func `base names that are local paths`(name: String, expected: Bool) throws {
        let report = Inspector.inspect(Sample.adapter([try Sample.random("m", seed: 1)], base: name))
        #expect(report.findings.contains { $0.code == "config.local_base_path" } == expected)
    }

    @Test func `card and metadata give no more than information`() throws {
        var adapter = Sample.adapter(
            [try Sample.random("m", seed: 1)],
            configuration: .object([.init("data", .array([.string("/home/ann/data.txt")])), .init("r", .number("8"))]))
        adapter.card = "---\nlicense: mit\nbase_model: example/base\n---\nText"
        adapter.metadata = ["author": "Ann <ann@example.org>", "note": "a@b", "format": "pt"]
        let report = Inspector.inspect(adapter)
        #expect(report.verdict == .clean)
        #expect(
            report.findings.map { $0.code + " " + $0.place } == [
                "metadata.email_address __metadata__.author", "metadata.local_path data",
            ])
        adapter.card = "Nothing\u{1B}[2J said"
        #expect(
            Inspector.inspect(adapter).findings.prefix(3).map(\.code) == [
                "card.missing_licence", "card.missing_base", "card.control_characters",
            ])
        #expect(Inspector.inspect(adapter).verdict == .clean)
    }

    @Test func `a location that cannot be read is a refusal with its place`() throws {
        let path = NSTemporaryDirectory() + "/inspector-\(UUID().uuidString).safetensors"
        try Data("<!DOCTYPE html>".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (report, adapter) = Inspector.inspect(AdapterLocation(path: path, form: .file))
        #expect(adapter == nil)
        #expect(report.verdict == .refused)
        #expect(report.failure?.code == .fileHtml)
        #expect(report.failure?.path == path)
    }

    @Test(.enabled(if: Shared.isThere), arguments: ["golden/adapters", "golden/real", "adapters"])
    func `real adapters are clean but for statistical hints`(place: String) throws {
        let locations = try AdapterLocation.discover(at: try #require(Shared.folder) + "/" + place)
        #expect(locations.count >= 4)
        for location in locations {
            let report = Inspector.inspect(location).report
            // Among trained modules one of nearly rank one does occur (the last query of `banking`).
            let hints = report.findings.filter { $0.code == "weights.spectral_outlier" }
            #expect(report.findings == hints && hints.count <= 1, "\(location.name): \(report.findings)")
            #expect(report.modules.allSatisfy { $0.frobenius > 0 && $0.kurtosis > 1 })
        }
    }
}
