import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// Recorded results of mergekit's methods. Every operand, an update or whole weights, stands as factors of full rank.
@Suite struct MergeMergekitTests {
    typealias GoldenCase = MergeGoldenTests.GoldenCase

    static let cases = MergeGoldenTests.all.filter { $0.id.hasPrefix("mk_") && $0.id != "mk_arcee_fusion" }
    static let fusion = MergeGoldenTests.all.filter { $0.id == "mk_arcee_fusion" }

    /// One tensor of the dense inputs by model.
    static func inputs(_ golden: GoldenCase, _ tensor: String) throws -> [String: Dense] {
        var result: [String: Dense] = [:]
        for view in try SafetensorsFile(path: "\(golden.folder)/dense/\(tensor).safetensors").tensors {
            var values = [Double](repeating: 0, count: view.count)
            try values.withUnsafeMutableBufferPointer { try view.copy(into: $0) }
            result[view.name] = Dense(view.shape.count > 1 ? view.shape[0] : 1, view.shape.last ?? 0, values)
        }
        return result
    }

    static func rounded(_ a: Dense) -> Dense { Dense(a.rows, a.columns, a.values.map { Double(Float($0)) }) }

    /// The operands of a case: names and matrices, and what is added to the result.
    static func operands(
        _ golden: GoldenCase, _ tensor: String, _ use: BaseUse
    ) throws -> (operands: [(String, Dense)], base: Dense?) {
        let inputs = try inputs(golden, tensor)
        let models = golden.document["inputs"]?["models"]?.array?.compactMap(\.string) ?? []
        func input(_ name: String) throws -> Dense { try #require(inputs[name]) }
        guard use != .operand, models.contains("base") else { return (try models.map { ($0, try input($0)) }, nil) }
        let base = try input("base")
        return (try models.filter { $0 != "base" }.map { ($0, rounded(try input($0) - base)) }, base)
    }

    static func adapter(_ name: String, _ update: Dense) -> TestAdapter {
        let module =
            update.rows == 1
            ? TestModule("t", b: Dense(1, 1, [1]), a: update)
            : TestModule("t", b: update, a: .identity(update.columns))
        return TestAdapter(name, [module])
    }

    /// The masks that were drawn, under the names of adapters.
    static func maskFile(_ golden: GoldenCase, _ tensor: String) throws -> String? {
        let views = try SafetensorsFile(path: "\(golden.folder)/expected/\(golden.id).safetensors").tensors
        let masks = try views.filter { $0.name.hasPrefix("mask.\(tensor).") }.map { view in
            var values = [Double](repeating: 0, count: view.count)
            try values.withUnsafeMutableBufferPointer { try view.copy(into: $0) }
            let model = view.name.dropFirst("mask.\(tensor).".count)
            return TensorFile.Entry(name: "mask.t.delta.\(model)", shape: view.shape, values: values, dtype: .u8)
        }
        return masks.isEmpty ? nil : try TensorFile.write(masks)
    }

    static func trial(_ golden: GoldenCase, _ method: String, _ operands: [(String, Dense)]) -> MergeTrial {
        var trial = MergeTrial(method, operands.map { adapter($0.0, $0.1) })
        trial.compatibility = .mergekit
        trial.rank = .keep
        trial.seed = nil
        trial.operandParameters = operands.map { _ in [:] }
        trial.weights = operands.map { _ in 1 }
        for member in golden.document["params"]?["parameters"]?.members ?? [] {
            if let list = member.value.array?.compactMap(\.double) {
                for i in operands.indices {
                    if member.key == "weight" {
                        trial.weights[i] = list[i]
                    } else {
                        trial.operandParameters[i][member.key] = .number(list[i])
                    }
                }
            } else if let number = member.value.double {
                trial.parameters[member.key] = .number(number)
            } else if let flag = member.value.bool {
                trial.parameters[member.key] = .bool(flag)
            }
        }
        return trial
    }

    @Test func `the committed cases are there`() { #expect(Self.cases.count >= 6) }

    @Test(arguments: cases) func `the result is that of mergekit`(_ golden: GoldenCase) throws {
        let method = try #require(
            golden.document["call"]?.string?.split(separator: "'").dropFirst().first.map(String.init))
        let description = try #require(MethodRegistry.standard.method(method, compatibility: .mergekit))
        let expected = try golden.expected()
        for tensor in ["W", "v"] {
            guard let recorded = expected[tensor] else { continue }
            let (operands, base) = try Self.operands(golden, tensor, description.baseUse)
            var trial = Self.trial(golden, method, operands)
            let masks = try Self.maskFile(golden, tensor)
            defer { if let masks { TensorFile.remove(masks) } }
            if let masks { trial.parameters["mask_file"] = .text(masks) }
            var found = try trial.delta("t")
            if let base { found = found + base }
            let flat = Dense(recorded.rows, recorded.columns, recorded.values)
            let shaped = Dense(flat.rows, flat.columns, found.values)
            #expect(golden.excess(shaped, flat) <= 0, "\(tensor)")
        }
    }

    @Test(arguments: fusion) func `arcee_fusion is that of mergekit`(_ golden: GoldenCase) throws {
        let expected = try golden.expected()
        for tensor in ["W", "v"] {
            let (operands, base) = try Self.operands(golden, tensor, .beside)
            let (update, weights) = (operands[0].1, try #require(base))
            let plan = try MergeTrial("task_arithmetic", [Self.adapter("m0", update)]).plan()
            var context = try #require(try TaskBuilder(plan).tasks().first).context
            context.baseOperand = 1
            guard case .elements(let make) = try MergeMethod.mergekitArceeFusion.rule(context) else {
                Issue.record("arcee_fusion is no elementwise rule")
                return
            }
            let matrices = [update, weights].map {
                Matrix(rows: $0.rows, columns: $0.columns, elements: $0.values.map(Float.init))
            }
            let merged = try make(context).applied(to: matrices).elements.map(Double.init)
            let recorded = try #require(expected[tensor])
            let found = zip(merged, weights.values).map { $0 + $1 }
            #expect(golden.excess(Dense(recorded.rows, recorded.columns, found), recorded) <= 0, "\(tensor)")
        }
    }

    @Test func `arcee_fusion takes its shares over the last axis of a tensor`() throws {
        var random = SplitMix(5)
        let (update, weights) = (random.matrix(6, 4), random.matrix(6, 4))
        func merged(_ shape: [Int], _ rows: Int, _ columns: Int) throws -> [Float] {
            let operand = TestAdapter("m0", [TestModule("m", b: random.matrix(rows, 1), a: random.matrix(1, columns))])
            let plan = try MergeTrial("task_arithmetic", [operand]).plan()
            var context = try #require(try TaskBuilder(plan).tasks().first).context
            (context.baseOperand, context.shape) = (1, shape)
            guard case .elements(let make) = try MergeMethod.mergekitArceeFusion.rule(context) else { return [] }
            let matrices = [update, weights].map {
                Matrix(rows: rows, columns: columns, elements: $0.values.map(Float.init))
            }
            return try make(context).applied(to: matrices).elements
        }
        let flat = try merged([6, 4], 6, 4)
        #expect(try merged([2, 3, 4], 2, 12) == flat)
        #expect(flat.contains { $0 != 0 } && flat.contains(0))
    }

    @Test func `arcee_fusion refuses adapters, which hold no base weights`() {
        var trial = MergeTrial("arcee_fusion", TestAdapter.set(rows: 6, columns: 5, ranks: [2], seed: 1))
        trial.compatibility = .mergekit
        #expect(failureCode { _ = try trial.run() } == "merge.unsupported_kind")
    }
}
