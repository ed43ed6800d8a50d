import Adapters
import Tensors
import Testing

@testable import Merging

/// The output stage: ranks, splits, number types, padding, other tensors, kinds of modules.
@Suite struct MergeOutputTests {
    static let adapters = TestAdapter.set(rows: 30, columns: 26, ranks: [4, 6, 3], seed: 80)
    static let sum = Dense.sum(adapters.map { (1, $0.modules[0].delta) })

    @Test(arguments: [OutputRank.max, .auto, .energy(0.5), .energy(0.95), .tail(0.3), .fixed(2), .keep])
    func `rank rules`(_ rule: OutputRank) throws {
        let spectrum = JacobiSVD(Self.sum)
        let energies = spectrum.sigma.map { $0 * $0 }
        let total = energies.reduce(0, +)
        func needed(_ share: Double) -> Int {
            (energies.indices.first { energies[...$0].reduce(0, +) >= share * total } ?? 0) + 1
        }
        let rank =
            switch rule {
            case .max: 6
            case .auto: min(24, needed(0.99))
            case .energy(let share): needed(share)
            case .tail(let error):
                energies.indices.first { energies[$0...].reduce(0, +).squareRoot() <= error * total.squareRoot() } ?? 0
            case .fixed(let rank): rank
            case .keep: 13
            }
        var trial = MergeTrial("task_arithmetic", Self.adapters)
        trial.rank = rule
        let outcome = try trial.run()
        #expect(try outcome.a().rows == rank)
        #expect(try outcome.module().rankOut == rank)
        #expect(try outcome.module().rankIn == 13)
        #expect(try outcome.delta().distance(to: spectrum.truncated(rank)) < 1e-6)
        #expect(try abs(outcome.module().discardedEnergy - energies[rank...].reduce(0, +) / total) < 1e-9)
        #expect(try abs(outcome.module().frobenius / spectrum.truncated(rank).norm - 1) < 1e-5)
    }

    @Test(arguments: Merging.FactorSplit.allCases)
    func `splits of singular values`(_ split: Merging.FactorSplit) throws {
        var trial = MergeTrial("svd", Self.adapters)
        trial.rank = .fixed(5)
        trial.split = split
        let outcome = try trial.run()
        let sigma = JacobiSVD(Self.sum).sigma
        for j in 0..<5 {
            let column = try outcome.b().columns([j])
            let row = try outcome.a().transposed.columns([j])
            let (b, a) = (
                split == .sqrt ? sigma[j].squareRoot() : split == .b ? sigma[j] : 1,
                split == .sqrt ? sigma[j].squareRoot() : split == .a ? sigma[j] : 1
            )
            #expect(abs(column.norm / b - 1) < 1e-6)
            #expect(abs(row.norm / a - 1) < 1e-6)
            // The entry of largest magnitude of a left vector is positive.
            #expect(try #require(column.values.max { abs($0) < abs($1) }) > 0)
        }
    }

    @Test func `number types and their rounding`() throws {
        for (precision, dtype, epsilon) in [
            (OutputPlan.Precision.f32, DType.f32, 1e-6), (.f16, .f16, 2e-3), (.bf16, .bf16, 1.5e-2),
        ] {
            var trial = MergeTrial("tsv_m", Self.adapters)
            trial.precision = .f32
            let exact = try trial.run()
            trial.precision = precision
            let outcome = try trial.run()
            #expect(outcome.types.values.allSatisfy { $0 == dtype })
            #expect(try outcome.delta().distance(to: exact.delta()) < epsilon)
            let error =
                try zip(exact.a().values + exact.b().values, outcome.a().values + outcome.b().values)
                .map { abs($0 - $1) }.max() ?? 0
            #expect(try abs(outcome.module().maxRoundingError - error) <= 1e-6)
        }
    }

    @Test func `keep takes the widest type of the operands`() throws {
        func types(_ dtypes: [DType]) throws -> DType {
            var adapters = Array(Self.adapters.prefix(dtypes.count))
            for i in dtypes.indices { adapters[i].dtype = dtypes[i] }
            return try MergeTrial("cat", adapters).run().record.dtype
        }
        #expect(try types([.bf16, .bf16]) == .bf16)
        #expect(try types([.f16, .f16]) == .f16)
        #expect(try types([.bf16, .f16]) == .f32)
        #expect(try types([.bf16, .f32]) == .f32)
        #expect(try types([.f64, .f32]) == .f64)
    }

    @Test func `half precision moves a power of two between the factors, or refuses`() throws {
        var adapter = Self.adapters[0]
        adapter.modules[0].scale = 262_144
        var trial = MergeTrial("cat", [adapter])
        trial.precision = .f16
        let outcome = try trial.run()
        #expect(try outcome.delta().distance(to: adapter.modules[0].delta) < 2e-3)
        #expect(try outcome.module().warnings.contains { $0.contains("rescaled") })
        adapter.modules[0].scale = 1e12
        trial.adapters = [adapter]
        #expect(failureCode { _ = try trial.run() } == "merge.nonfinite_result")
    }

    @Test func `uniform pads every module with zeros to one rank`() throws {
        var random = SplitMix(81)
        let adapter = TestAdapter("a", [.random("x", 12, 10, 2, &random), .random("y", 9, 14, 5, &random)])
        var trial = MergeTrial("cat", [adapter])
        let patterned = try trial.run()
        #expect(patterned.configuration["rank_pattern"]?.members?.isEmpty == false)
        trial.uniform = true
        let outcome = try trial.run()
        #expect(outcome.record.modules.map(\.rankOut) == [5, 5])
        for module in adapter.modules {
            #expect(try outcome.a(module.name).rows == 5)
            #expect(try outcome.delta(module.name).distance(to: module.delta) < 1e-6)
        }
        #expect(outcome.configuration["r"]?.integer == 5)
        #expect(outcome.configuration["lora_alpha"]?.double == 5)
        #expect(outcome.configuration["rank_pattern"]?.members?.isEmpty ?? true)
    }

    @Test func `lora_bias is merged with the method's coefficients`() throws {
        var adapters = Array(Self.adapters.prefix(2))
        var random = SplitMix(82)
        for i in adapters.indices { adapters[i].modules[0].bias = random.matrix(1, 30).values }
        func expected(_ weights: [Double]) -> [Double] {
            (0..<30).map { e in
                zip(weights, adapters).reduce(0) { $0 + $1.0 * $1.1.modules[0].scale * ($1.1.modules[0].bias?[e] ?? 0) }
            }
        }
        let weights = [2, 0.5]
        for (method, factors) in [
            ("cat", weights), ("linear", weights.map { $0 / 2.5 }), ("negate", weights.map { -$0 }), ("tsv_m", weights),
        ] {
            let outcome = try MergeTrial(method, adapters, weights: weights).run()
            let bias = try #require(outcome.tensors["m.lora_B.bias"])
            #expect(Dense(1, 30, bias.values).distance(to: Dense(1, 30, expected(factors))) < 1e-6, "\(method)")
        }
        adapters[1].modules[0].bias = nil
        let half = try MergeTrial("task_arithmetic", adapters, weights: weights, ["lambda": .number(3)]).run()
        let bias = try #require(half.tensors["m.lora_B.bias"])
        #expect(Dense(1, 30, bias.values).distance(to: Dense(1, 30, expected([6, 0]))) < 1e-6)
    }

    @Test func `whole tensors follow others`() throws {
        var adapters = Array(Self.adapters.prefix(2))
        let (x, y) = ([1.0, 2, 3, 4], [5.0, -2, 0, 8])
        func saved(_ values: [Double], _ dtype: DType = .f32) throws -> [SavedTensor] {
            [
                SavedTensor(
                    name: "classifier.weight", role: .savedModule,
                    tensor: try view(values, [2, 2], dtype, "classifier.weight"))
            ]
        }
        adapters[0].saved = try saved(x)
        let alone = try MergeTrial("cat", adapters).run()
        #expect(alone.record.savedTensors == ["classifier.weight"])
        func values(_ others: OthersRule) throws -> [Double] {
            var trial = MergeTrial("cat", adapters, weights: [3, 1])
            trial.others = others
            let outcome = try trial.run()
            return try #require(outcome.tensors.first { $0.key.hasPrefix("classifier") }?.value.values)
        }
        #expect(try values(.error) == x)
        adapters[1].saved = try saved(x)
        #expect(try values(.error) == x)
        adapters[1].saved = try saved(y, .bf16)
        #expect(failureCode { _ = try values(.error) } == "merge.module_mismatch")
        #expect(try values(.first) == x)
        #expect(try values(.mean) == [3, 0, 1.5, 6])
        #expect(try values(.weighted) == [2, 1, 2.25, 5])
        adapters[1].saved = [
            SavedTensor(
                name: "classifier.weight", role: .savedModule, tensor: try view([1, 2], [2], .f32, "classifier.weight"))
        ]
        #expect(failureCode { _ = try values(.mean) } == "merge.shape_mismatch")
    }

    @Test func `convolutions, embeddings and transposed layers are merged as flattened matrices`() throws {
        var random = SplitMix(83)
        func adapter(_ name: String) -> TestAdapter {
            var conv = TestModule.random("conv", 8, 3 * 2 * 2, 2, &random)
            (conv.kind, conv.deltaShape) = (.convolution, [8, 3, 2, 2])
            var embedding = TestModule.random("embed", 6, 50, 3, &random)
            (embedding.kind, embedding.deltaShape) = (.embedding, [50, 6])
            var transposed = TestModule.random("c_attn", 12, 7, 2, &random)
            (transposed.fanInFanOut, transposed.deltaShape) = (true, [7, 12])
            return TestAdapter(name, [conv, embedding, transposed])
        }
        let adapters = [adapter("a"), adapter("b")]
        for method in ["cat", "tsv_m", "ties"] {
            let outcome = try MergeTrial(method, adapters).run()
            #expect(outcome.shapes["conv.lora_A.weight"]?.dropFirst() == [3, 2, 2])
            #expect(outcome.shapes["conv.lora_B.weight"]?.dropFirst(2) == [1, 1])
            #expect(outcome.shapes["embed.lora_embedding_A"]?.last == 50)
            #expect(outcome.shapes["embed.lora_embedding_B"]?.first == 6)
            #expect(outcome.configuration["fan_in_fan_out"]?.bool == true)
        }
        let sums = try MergeTrial("cat", adapters, weights: [1, -2]).run()
        for name in ["conv", "embed", "c_attn"] {
            let expected = Dense.sum(zip([1, -2], adapters).map { ($0, $1.module(name)?.delta ?? Dense(0, 0)) })
            #expect(try sums.delta(name).distance(to: expected) < 1e-6)
        }
    }

    @Test func `a small memory limit changes the way, not the result`() throws {
        let adapters = TestAdapter.set(rows: 96, columns: 80, ranks: [3, 2], seed: 84)
        for method in ["tsv_m", "ties", "magnitude_prune"] {
            var trial = MergeTrial(method, adapters, method == "tsv_m" ? [:] : ["density": .number(1)])
            trial.rank = .fixed(5)
            let roomy = try trial.run()
            trial.memoryLimit = 4096
            let tight = try trial.run()
            #expect(try tight.delta().distance(to: roomy.delta()) < (method == "ties" ? 0.05 : 1e-5))
            #expect(try abs(tight.module().discardedEnergy - roomy.module().discardedEnergy) < 0.01)
        }
    }
}
