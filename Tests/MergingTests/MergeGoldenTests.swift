import Adapters
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// Results of PEFT and of the rank-aware TSV-M formula: a few committed ones, and the whole set where it is at hand.
@Suite struct MergeGoldenTests {
    /// One recorded call.
    struct GoldenCase: Sendable, CustomTestStringConvertible {
        let folder: String
        let id: String
        let document: JSONValue

        var testDescription: String { id }

        var adapters: [String] { document["inputs"]?["adapters"]?.array?.compactMap(\.string) ?? [] }
        /// PEFT's combination type, nil for other libraries.
        var type: String? {
            guard document["library"]?.string == "peft", let call = document["call"]?.string else { return nil }
            return call.split(separator: "'").dropFirst().first.map(String.init)
        }

        func plan() throws -> StagePlan {
            let operands = try adapters.map { name in
                NamedAdapter(
                    name: name, version: nil, object: nil, reference: name,
                    adapter: try AdapterReader.read(path: "\(folder)/adapters/\(name)"))
            }
            let weights = document["params"]?["weights"]?.array?.compactMap(\.double) ?? operands.map { _ in 1 }
            var parameters: [String: ParameterValue] = [:]
            for name in ["density", "svd_rank", "svd_clamp"] {
                if let value = document["params"]?[name]?.double { parameters[name] = .number(value) }
            }
            if let vote = document["params"]?["majority_sign_method"]?.string {
                parameters["majority_sign_method"] = .text(vote)
            }
            if type == nil { parameters = ["k": .text("paper")] }
            let names = Set(operands.flatMap { $0.adapter.modules.map(\.name) }).sorted()
            let modules = names.map { module in
                ModulePlan(
                    module: module, method: type ?? "tsv_m",
                    operands: operands.indices.map { ModuleOperand(operand: $0, weight: weights[$0], parameters: [:]) },
                    parameters: parameters)
            }
            return StagePlan(
                name: id, compatibility: type == nil ? .none : .peft, operands: operands, modules: modules,
                missing: .skip, others: .error, zeroNonFinite: false, allowBaseMismatch: false, seed: nil,
                memoryLimitBytes: 1 << 30, threads: 2, output: OutputPlan())
        }

        func expected() throws -> [String: Dense] {
            var result: [String: Dense] = [:]
            for tensor in try SafetensorsFile(path: "\(folder)/expected/\(id).safetensors").tensors {
                var values = [Double](repeating: 0, count: tensor.count)
                try values.withUnsafeMutableBufferPointer { try tensor.copy(into: $0) }
                result[tensor.name] = Dense(tensor.shape[0], tensor.count / tensor.shape[0], values)
            }
            return result
        }

        /// Largest excess of |x − y| over atol + rtol·max|y|; at most 0 is a match.
        func excess(_ found: Dense, _ expected: Dense) -> Double {
            guard found.rows == expected.rows, found.columns == expected.columns else { return .infinity }
            let (atol, rtol) = (document["atol"]?.double ?? 0, document["rtol"]?.double ?? 0)
            let limit = atol + rtol * (expected.values.map(abs).max() ?? 0)
            return (zip(found.values, expected.values).map { abs($0 - $1) }.max() ?? 0) - limit
        }
    }

    static let tests = (#filePath as NSString).deletingLastPathComponent
    static let shared = tests + "/../../../shared/golden"

    static func read(_ folder: String) -> [GoldenCase] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/cases")) ?? []
        return names.sorted().compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(folder)/cases/\(name)"),
                let document = try? StrictJSON.parse([UInt8](data), .configuration), let id = document["id"]?.string
            else { return nil }
            return GoldenCase(folder: folder, id: id, document: document)
        }
    }

    static let all = read(tests + "/Fixtures/golden") + read(shared)
    static let deterministic = all.filter { golden in
        guard let type = golden.type else { return golden.id == "tsvm_lora_rank" }
        return !type.hasPrefix("dare") && golden.document["params"]?["svd_clamp"] == nil
    }
    static let clamped = all.filter { $0.type != nil && $0.document["params"]?["svd_clamp"] != nil }

    @Test func `the committed cases are there`() {
        #expect(Self.deterministic.count >= 3)
        #expect(Self.clamped.count >= 1)
    }

    @Test(arguments: deterministic) func `the result is that of the other program`(_ golden: GoldenCase) throws {
        let outcome = try MergeOutcome.of(try golden.plan())
        let expected = try golden.expected()
        let byFactors = golden.document["compare"]?.string == "factors"
        for module in outcome.record.modules.map(\.name) {
            let delta = try #require(expected[module + ".delta"] ?? expected[module])
            #expect(golden.excess(try outcome.delta(module), delta) <= 0, "\(module)")
            guard byFactors else { continue }
            #expect(
                golden.excess(try outcome.a(module), try #require(expected[module + ".lora_A"])) <= 0, "\(module) A")
            #expect(
                golden.excess(try outcome.b(module), try #require(expected[module + ".lora_B"])) <= 0, "\(module) B")
        }
        #expect(outcome.record.modules.count == 8)
    }

    /// The limit is a quantile of signed entries, so it depends on the free signs of the singular vectors: the recorded
    /// result belongs to one choice, ours to another, and both must be among the choices.
    @Test(arguments: clamped) func `a clamped svd is right for some choice of signs`(_ golden: GoldenCase) throws {
        let plan = try golden.plan()
        let outcome = try MergeOutcome.of(plan)
        var free = plan
        for i in free.modules.indices { free.modules[i].parameters["svd_clamp"] = nil }
        let plain = try MergeOutcome.of(free)
        let expected = try golden.expected()
        let quantile = golden.document["params"]?["svd_clamp"]?.double ?? 1
        for module in outcome.record.modules.map(\.name) {
            let (a, b) = (try plain.a(module), try plain.b(module))
            let choices = (0..<1 << a.rows).map { Self.clamped(b, a, signs: $0, quantile) }
            let recorded = try #require(expected[module + ".delta"])
            #expect(choices.contains { golden.excess($0, recorded) <= 0 }, "\(module)")
            #expect(choices[0].distance(to: try outcome.delta(module)) < 1e-6)
        }
    }

    static func clamped(_ b: Dense, _ a: Dense, signs: Int, _ quantile: Double) -> Dense {
        var (b, a) = (b, a)
        for j in 0..<a.rows where signs >> j & 1 == 1 {
            for i in 0..<b.rows { b[i, j] = -b[i, j] }
            for i in 0..<a.columns { a[j, i] = -a[j, i] }
        }
        let sorted = (a.values + b.values).sorted()
        let position = quantile * Double(sorted.count - 1)
        let low = Int(position)
        let next = sorted[min(low + 1, sorted.count - 1)]
        let limit = sorted[low] + (position - Double(low)) * (next - sorted[low])
        for i in a.values.indices { a.values[i] = min(max(a.values[i], -limit), limit) }
        for i in b.values.indices { b.values[i] = min(max(b.values[i], -limit), limit) }
        return b * a
    }

    @Test func `before 0_21 PEFT applied the scaling twice in the SVD types`() throws {
        let golden = try #require(Self.all.first { $0.id == "peft_ties_svd_d50" })
        var plan = try golden.plan()
        for i in plan.modules.indices {
            plan.modules[i].method = "svd"
            plan.modules[i].parameters = ["svd_rank": .number(16)]
        }
        plan.compatibility = .peft020
        let outcome = try MergeOutcome.of(plan)
        for module in outcome.record.modules.map(\.name) {
            let terms = try plan.operands.enumerated().map { index, operand -> (Double, Dense) in
                let lora = try #require(operand.adapter.modules.first { $0.name == module })
                func dense(_ tensor: TensorView) throws -> Dense {
                    var values = [Double](repeating: 0, count: tensor.count)
                    try values.withUnsafeMutableBufferPointer { try tensor.copy(into: $0) }
                    return Dense(tensor.shape[0], tensor.shape[1], values)
                }
                let weight = plan.modules[0].operands[index].weight
                return (weight * lora.scale * lora.scale, try dense(lora.b) * dense(lora.a))
            }
            #expect(try outcome.delta(module).distance(to: Dense.sum(terms)) < 1e-6)
        }
    }

    @Test func `one adapter alone always uses linear`() throws {
        let golden = try #require(Self.all.first { $0.id == "peft_ties_svd_d50" })
        var plan = try golden.plan()
        plan.operands = [plan.operands[0]]
        for i in plan.modules.indices {
            plan.modules[i].operands = [ModuleOperand(operand: 0, weight: -0.5, parameters: [:])]
        }
        let outcome = try MergeOutcome.of(plan)
        let module = try #require(plan.operands[0].adapter.modules.first)
        var values = [Double](repeating: 0, count: module.a.count)
        try values.withUnsafeMutableBufferPointer { try module.a.copy(into: $0) }
        let root = -(0.5 * module.scale).squareRoot()
        #expect(try outcome.a(module.name).distance(to: root * Dense(module.rank, module.dIn, values)) < 1e-6)
    }
}
