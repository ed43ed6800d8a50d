import Adapters
import Diagnostics
import Networks
import Tensors

extension LoRASlot<Float> {
    /// The factors as an adapter under the module names of the backbone's own checkpoint; a copy.
    ///
    /// - Throws: `internal.defect` for a site that the backbone's spelling has no module for.
    public func adapter(on backbone: Backbone<Float>, base: String = "") throws -> Adapter {
        let map = backbone.description.siteMap
        let known = Set(backbone.checkpointTensors.map(\.name))
        let modules = try pairs.map { pair -> LoRAModule in
            let names = map.namings.flatMap { naming in
                naming.roots.compactMap { map.module(for: pair.site, naming: naming.name, root: $0) }
            }
            guard let name = names.first(where: { known.contains($0 + ".weight") }) ?? names.first else {
                throw Failure(.internalDefect, "the backbone has no module name for a site", place: "\(pair.site)")
            }
            return LoRAModule(
                name: name, kind: .linear, dOut: pair.outputs, dIn: pair.inputs, rank: pair.rank, scale: pair.scale,
                alpha: pair.scale * Double(pair.rank),
                a: try Self.view("lora_A", pair.rank, pair.inputs, Array(a(pair))),
                b: try Self.view("lora_B", pair.outputs, pair.rank, Array(b(pair))),
                deltaShape: [pair.outputs, pair.inputs])
        }
        return Adapter(
            modules: modules.sorted { $0.name < $1.name }, saved: [], base: BaseIdentity(name: base), format: "peft",
            configuration: .null, findings: [])
    }

    private static func view(_ name: String, _ rows: Int, _ columns: Int, _ values: [Float]) throws -> TensorView {
        try TensorBuffer(name: name, dtype: .f32, matrix: Matrix(rows: rows, columns: columns, elements: values)).view
    }
}
