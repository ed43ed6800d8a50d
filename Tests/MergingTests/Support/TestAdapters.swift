import Adapters
import Digests
import Tensors
import WeightFiles

/// One module of a made-up adapter.
struct TestModule {
    var name: String
    var b: Dense
    var a: Dense
    var scale: Double
    var bias: [Double]?
    var kind = ModuleKind.linear
    var deltaShape: [Int]?
    var fanInFanOut = false

    var rank: Int { a.rows }
    /// scale · B · A in double precision.
    var delta: Dense { scale * (b * a) }

    init(_ name: String, b: Dense, a: Dense, scale: Double = 1) {
        (self.name, self.b, self.a, self.scale) = (name, b, a, scale)
    }

    static func random(
        _ name: String, _ rows: Int, _ columns: Int, _ rank: Int, _ random: inout SplitMix, scale: Double? = nil
    ) -> TestModule {
        TestModule(
            name, b: random.matrix(rows, rank), a: random.matrix(rank, columns),
            scale: scale ?? 0.25 + random.uniform())
    }

    func module(_ dtype: DType) throws -> LoRAModule {
        LoRAModule(
            name: name, kind: kind, dOut: b.rows, dIn: a.columns, rank: rank, scale: scale,
            alpha: scale * Double(rank), a: try view(a.values, [rank, a.columns], dtype, name + ".lora_A.weight"),
            b: try view(b.values, [b.rows, rank], dtype, name + ".lora_B.weight"),
            deltaShape: deltaShape ?? [b.rows, a.columns],
            bias: try bias.map { try view($0, [$0.count], dtype, name + ".lora_B.bias") }, fanInFanOut: fanInFanOut)
    }
}

/// A tensor that holds `values` rounded to `dtype`.
func view(_ values: [Double], _ shape: [Int], _ dtype: DType, _ name: String) throws -> TensorView {
    let buffer = try TensorBuffer(name: name, dtype: dtype, shape: shape)
    try values.map(Float.init).withUnsafeBufferPointer { _ = try buffer.write($0) }
    return buffer.view
}

/// A made-up adapter.
struct TestAdapter {
    var name: String
    var modules: [TestModule]
    var dtype = DType.f32
    var saved: [SavedTensor] = []
    var configuration = JSONValue.null

    init(_ name: String, _ modules: [TestModule], dtype: DType = .f32) {
        (self.name, self.modules, self.dtype) = (name, modules, dtype)
    }

    func named() throws -> NamedAdapter {
        NamedAdapter(
            name: name, version: nil, object: nil, reference: "path:\(name)",
            adapter: Adapter(
                modules: try modules.sorted { $0.name < $1.name }.map { try $0.module(dtype) }, saved: saved,
                base: BaseIdentity(name: "test/base"), format: "peft", configuration: configuration, findings: []))
    }

    func module(_ name: String) -> TestModule? { modules.first { $0.name == name } }

    /// One module "m" for each rank.
    static func set(
        rows: Int, columns: Int, ranks: [Int], seed: UInt64, dtype: DType = .f32
    ) -> [TestAdapter] {
        var random = SplitMix(seed)
        return ranks.enumerated().map { index, rank in
            TestAdapter("a\(index)", [.random("m", rows, columns, rank, &random)], dtype: dtype)
        }
    }
}

/// Adapters by their names.
struct TestLibrary: AdapterLibrary {
    let named: [NamedAdapter]

    func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
        named.filter { $0.name == reference }
    }
}
