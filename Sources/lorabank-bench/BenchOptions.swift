import Diagnostics
import Foundation
import Merging
import Tensors

/// What the command line asks for.
struct BenchOptions {
    var method: String
    var shape = ModelShape.llama3
    var adapters = 8
    var rank = 16
    var layers: Int?
    var dtype = DType.bf16
    var threads = ProcessInfo.processInfo.activeProcessorCount
    var memory = 1 << 30
    var pairs = 5
    var density: Double?
    var folder = NSTemporaryDirectory() + "lorabank-bench"

    static let usage = """
        usage: lorabank-bench METHOD [--shape llama-3-8b|vit-b-16|square-4096] [--adapters N] [--rank R] [--layers N]
            [--dtype bf16|f16|f32] [--threads N] [--memory-mib N] [--pairs N] [--density D] [--folder DIR]
        METHOD: a native merge method, e.g. tsv_m, cat, ties
        """

    init(_ arguments: [String]) throws {
        guard let method = arguments.first, MethodRegistry.standard.method(method, compatibility: .none) != nil else {
            throw BenchOptions.wrong("name a merge method")
        }
        self.method = method
        var rest = arguments.dropFirst()
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw BenchOptions.wrong("\(name) needs a value") }
            try set(name, value)
        }
    }

    private mutating func set(_ name: String, _ value: String) throws {
        func whole() throws -> Int {
            guard let number = Int(value), number > 0 else {
                throw BenchOptions.wrong("\(name): '\(value)' is no count")
            }
            return number
        }
        switch name {
        case "--shape":
            guard let found = ModelShape.all.first(where: { $0.name == value }) else {
                throw BenchOptions.wrong("unknown shape '\(value)'")
            }
            shape = found
        case "--dtype":
            guard let found = DType(rawValue: value.uppercased()), found.isWeight else {
                throw BenchOptions.wrong("unknown dtype '\(value)'")
            }
            dtype = found
        case "--density":
            guard let number = Double(value) else { throw BenchOptions.wrong("--density: '\(value)' is no number") }
            density = number
        case "--adapters": adapters = try whole()
        case "--rank": rank = try whole()
        case "--layers": layers = try whole()
        case "--threads": threads = try whole()
        case "--memory-mib": memory = try whole() << 20
        case "--pairs": pairs = try whole()
        case "--folder": folder = value
        default: throw BenchOptions.wrong("unknown option \(name)")
        }
    }

    private static func wrong(_ message: String) -> Failure { Failure(.usageBadArgument, message, hint: usage) }
}

/// The adapted layers of a model, as far as a benchmark needs them.
struct ModelShape {
    struct Projection {
        var name: String
        var out: Int
        var input: Int
    }

    var name: String
    var layers: Int
    var projections: [Projection]

    static let llama3 = ModelShape(
        name: "llama-3-8b", layers: 32,
        projections: [
            Projection(name: "self_attn.q_proj", out: 4096, input: 4096),
            Projection(name: "self_attn.k_proj", out: 1024, input: 4096),
            Projection(name: "self_attn.v_proj", out: 1024, input: 4096),
            Projection(name: "self_attn.o_proj", out: 4096, input: 4096),
            Projection(name: "mlp.gate_proj", out: 14336, input: 4096),
            Projection(name: "mlp.up_proj", out: 14336, input: 4096),
            Projection(name: "mlp.down_proj", out: 4096, input: 14336),
        ])
    static let vit = ModelShape(
        name: "vit-b-16", layers: 12,
        projections: [
            Projection(name: "attention.query", out: 768, input: 768),
            Projection(name: "attention.key", out: 768, input: 768),
            Projection(name: "attention.value", out: 768, input: 768),
            Projection(name: "attention.output", out: 768, input: 768),
            Projection(name: "intermediate", out: 3072, input: 768), Projection(name: "output", out: 768, input: 3072),
        ])
    static let square = ModelShape(
        name: "square-4096", layers: 1, projections: [Projection(name: "proj", out: 4096, input: 4096)])
    static let all = [llama3, vit, square]
}
