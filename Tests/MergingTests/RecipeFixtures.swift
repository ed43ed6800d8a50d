import Adapters
import Diagnostics
import Digests
import Settings
import Tensors
import WeightFiles

@testable import Merging

/// A small registry, so that these tests do not depend on which methods the program ships.
enum TestMethods {
    static let linear = MethodDescription(
        id: "linear", title: "Weighted mean", summary: "mean of the updates", exactness: .gram, source: "test",
        parameters: [.weight, .lambda(), .normalize(default: true)], cost: "none")
    static let taskArithmetic = MethodDescription(
        id: "task_arithmetic", title: "Weighted sum", summary: "sum of the updates", exactness: .gram, source: "test",
        parameters: [.weight, .lambda(), .normalize(default: false)], cost: "none")
    static let ties = MethodDescription(
        id: "ties", title: "TIES", summary: "trim, elect, merge", exactness: .elementwise, source: "test",
        parameters: [
            .weight, .density(default: 0.2, summary: "share of entries kept"), .lambda(),
            ParameterDeclaration(
                "elect", .choice(["sum", "count"]), default: .text("sum"), summary: "how the sign is elected"),
            ParameterDeclaration("rounds", .integer, default: .number(2), range: .atLeast(0), summary: "rounds"),
        ], cost: "none")
    static let dare = MethodDescription(
        id: "dare_linear", title: "DARE", summary: "drops entries at random", exactness: .elementwise, source: "test",
        parameters: [
            .weight, .density(default: 0.5, summary: "share of entries kept"), .lambda(),
            ParameterDeclaration("mask_file", .file, summary: "file with masks"),
        ], random: true, cost: "none")
    static let tsv = MethodDescription(
        id: "tsv_m", title: "TSV-M", summary: "orthogonalised singular vectors", exactness: .spectral, source: "test",
        parameters: [
            .weight, .lambda(),
            ParameterDeclaration(
                "k", .rank(words: ["full", "paper"], keyed: ["energy"]), default: .text("full"), summary: "vectors kept"
            ),
        ], cost: "none")
    static let slerp = MethodDescription(
        id: "slerp", title: "SLERP", summary: "spherical interpolation", exactness: .gram, source: "test",
        parameters: [ParameterDeclaration("t", .number, required: true, range: .unit, summary: "position")],
        minimumAdapters: 2, maximumAdapters: 2, cost: "none")
    static let opcm = MethodDescription(
        id: "opcm", title: "OPCM", summary: "orthogonal projection", exactness: .spectral, source: "test",
        parameters: [.weight, .lambda()], sequential: true, cost: "none")
    static let svc = MethodDescription(
        id: "svc", title: "SVC", summary: "calibrates singular values", exactness: .spectral,
        role: .post(after: [.gram, .spectral, .coordinates]), source: "test",
        parameters: [ParameterDeclaration("alpha", .number, default: .number(1), range: .positive, summary: "floor")],
        cost: "none")
    static let peftLinear = MethodDescription(
        id: "linear", title: "PEFT linear", summary: "factors summed", exactness: .factors,
        compatibilities: [.peft, .peft020], source: "test", parameters: [.weight], cost: "none")
    static let peftTies = MethodDescription(
        id: "ties", title: "PEFT TIES", summary: "TIES on the factors", exactness: .factors,
        compatibilities: [.peft, .peft020], source: "test",
        parameters: [
            .weight,
            ParameterDeclaration("density", .number, required: true, range: .unit, summary: "share of entries kept"),
            ParameterDeclaration(
                "majority_sign_method", .choice(["total", "frequency"]), default: .text("total"), summary: "election"),
        ], cost: "none")
    static let mergekitTies = MethodDescription(
        id: "ties", title: "mergekit TIES", summary: "TIES", exactness: .elementwise, compatibilities: [.mergekit],
        source: "test",
        parameters: [
            ParameterDeclaration("weight", .number, required: true, perAdapter: true, summary: "factor"),
            .density(default: 1, summary: "share kept"), .lambda(), .normalize(default: true),
        ], cost: "none")
    static let mergekitLinear = MethodDescription(
        id: "linear", title: "mergekit linear", summary: "mean", exactness: .gram, compatibilities: [.mergekit],
        source: "test", parameters: [.weight, .normalize(default: true)], cost: "none")

    static let registry = MethodRegistry([
        linear, taskArithmetic, ties, dare, tsv, slerp, opcm, svc, peftLinear, peftTies, mergekitTies, mergekitLinear,
    ])
}

/// Adapters in memory by name; `tag:` names all of them, sorted.
struct MemoryLibrary: AdapterLibrary {
    var adapters: [NamedAdapter]

    init(_ adapters: NamedAdapter...) { self.adapters = adapters }

    func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
        if reference.hasPrefix("tag:") { return adapters.sorted { $0.name < $1.name } }
        guard let found = adapters.first(where: { $0.name == reference || "id:" + ($0.object ?? "") == reference })
        else { throw Failure(.referenceNotFound, "no adapter '\(reference)'") }
        return [found]
    }
}

enum TestAdapters {
    private final class Floats: @unchecked Sendable {
        let memory: UnsafeMutableBufferPointer<Float>

        init(count: Int) {
            memory = .allocate(capacity: count)
            memory.initialize(repeating: 0.5)
        }

        deinit { memory.deallocate() }
    }

    static func module(
        _ name: String, dOut: Int = 4, dIn: Int = 3, rank: Int = 2, magnitude: Bool = false
    ) -> LoRAModule {
        LoRAModule(
            name: name, kind: .linear, dOut: dOut, dIn: dIn, rank: rank, scale: 1, alpha: Double(rank),
            a: tensor(name + ".lora_A", [rank, dIn]), b: tensor(name + ".lora_B", [dOut, rank]),
            deltaShape: [dOut, dIn], magnitude: magnitude ? tensor(name + ".magnitude", [dOut]) : nil)
    }

    static func tensor(_ name: String, _ shape: [Int]) -> TensorView {
        let owner = Floats(count: shape.reduce(1, *))
        return TensorView(
            name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(owner.memory), owner: owner)
    }

    /// Modules `layers.<i>.<part>` for each layer and part.
    static func adapter(
        _ name: String, layers: some Sequence<Int> = 0..<2, parts: [String] = ["attn", "mlp"],
        base: String = "base/model",
        object: String? = nil, extra: [LoRAModule] = []
    ) -> NamedAdapter {
        let modules = layers.flatMap { layer in parts.map { module("layers.\(layer).\($0)") } } + extra
        let adapter = Adapter(
            modules: modules.sorted { $0.name < $1.name }, saved: [], base: BaseIdentity(name: base), format: "peft",
            configuration: .null, findings: [], fileDigests: ["adapter_model.safetensors": .of(name)])
        return NamedAdapter(name: name, version: nil, object: object, reference: name, adapter: adapter)
    }
}

/// The failure that `body` throws, nil when it throws none.
func failure(_ body: () throws -> Void) -> Failure? {
    do {
        try body()
        return nil
    } catch {
        return error as? Failure
    }
}

func readRecipe(_ text: String, overrides: [String] = []) throws -> Recipe {
    try RecipeReader(registry: TestMethods.registry).read(
        text: text, folder: "", overrides: try overrides.map { try SettingOverride($0) })
}

func plan(_ text: String, _ library: MemoryLibrary, overrides: [String] = []) throws -> RecipePlan {
    try RecipePlanner(library: library, registry: TestMethods.registry).plan(
        try readRecipe(text, overrides: overrides))
}
