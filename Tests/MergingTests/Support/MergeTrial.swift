import Adapters
import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// A merge as the tests ask for it: a plan made by hand, carried out into a temporary folder, read back.
struct MergeTrial {
    var method: String
    var adapters: [TestAdapter]
    var weights: [Double] = []
    var parameters: [String: ParameterValue] = [:]
    var operandParameters: [[String: ParameterValue]] = []
    var compatibility = Compatibility.none
    var rank: OutputRank?
    var split: Merging.FactorSplit?
    var precision = OutputPlan.Precision.keep
    var uniform = false
    var missing = MissingRule.skip
    var others = OthersRule.error
    var zeroNonFinite = false
    var padRanks = false
    var post: [PostStepPlan] = []
    var seed: UInt64? = 7
    var threads = 1
    var memoryLimit = 1 << 30
    var blockHeight: Int?

    init(
        _ method: String, _ adapters: [TestAdapter], weights: [Double] = [],
        _ parameters: [String: ParameterValue] = [:]
    ) {
        (self.method, self.adapters, self.weights, self.parameters) = (method, adapters, weights, parameters)
    }

    func plan() throws -> StagePlan {
        let names = Set(adapters.flatMap { $0.modules.map(\.name) }).sorted()
        let modules = names.map { name in
            ModulePlan(
                module: name, method: method,
                operands: adapters.indices.filter { missing == .zero || adapters[$0].module(name) != nil }.map { i in
                    ModuleOperand(
                        operand: i, weight: weights.isEmpty ? 1 : weights[i],
                        parameters: operandParameters.isEmpty ? [:] : operandParameters[i])
                }, parameters: parameters)
        }
        return StagePlan(
            name: "trial", compatibility: compatibility, operands: try adapters.map { try $0.named() },
            modules: modules, missing: missing, others: others, zeroNonFinite: zeroNonFinite,
            allowBaseMismatch: false, seed: seed, memoryLimitBytes: memoryLimit, threads: threads,
            output: OutputPlan(rank: rank, precision: precision, split: split, uniform: uniform),
            padRanks: padRanks, post: post)
    }

    func run() throws -> MergeOutcome { try MergeOutcome.of(try plan(), blockHeight: blockHeight) }

    /// The merged dense update of module "m".
    func delta(_ module: String = "m") throws -> Dense { try run().delta(module) }
}

/// What a merge wrote.
struct MergeOutcome {
    let record: MergeRecord
    let tensors: [String: Dense]
    let shapes: [String: [Int]]
    let types: [String: DType]
    let bytes: Data
    let configuration: JSONValue

    static func of(_ plan: StagePlan, blockHeight: Int? = nil) throws -> MergeOutcome {
        let folder = NSTemporaryDirectory() + "merge-trial-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var run = try MergeRun(plan, .folder(folder), false, SilentProgress(), { false })
        run.blockHeight = blockHeight
        let record = try run.carryOut()
        return try MergeOutcome(record, folder)
    }

    init(_ record: MergeRecord, _ folder: String) throws {
        self.record = record
        let file = try SafetensorsFile(path: folder + "/adapter_model.safetensors")
        bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/adapter_model.safetensors"))
        configuration = try StrictJSON.parse(
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/adapter_config.json"))), .configuration)
        var tensors: [String: Dense] = [:]
        var shapes: [String: [Int]] = [:]
        var types: [String: DType] = [:]
        for tensor in file.tensors {
            var values = [Double](repeating: 0, count: tensor.count)
            try values.withUnsafeMutableBufferPointer { try tensor.copy(into: $0) }
            let name = String(tensor.name.dropFirst("base_model.model.".count))
            let rows = tensor.shape.first ?? 1
            tensors[name] = Dense(rows, rows == 0 ? 0 : tensor.count / rows, values)
            shapes[name] = tensor.shape
            types[name] = tensor.dtype
        }
        (self.tensors, self.shapes, self.types) = (tensors, shapes, types)
    }

    func a(_ module: String = "m") throws -> Dense {
        try #require(tensors[module + ".lora_A.weight"] ?? tensors[module + ".lora_embedding_A"])
    }

    func b(_ module: String = "m") throws -> Dense {
        try #require(tensors[module + ".lora_B.weight"] ?? tensors[module + ".lora_embedding_B"])
    }

    /// B·A: the scale of a merged adapter is 1.
    func delta(_ module: String = "m") throws -> Dense { try b(module) * a(module) }

    func module(_ name: String = "m") throws -> MergeRecord.Module {
        try #require(record.modules.first { $0.name == name })
    }
}

/// The code of the failure that `body` throws, nil when it throws none.
func failureCode(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch let failure as Failure {
        return failure.code.name
    } catch {
        return "\(error)"
    }
}
