import Adapters
import Diagnostics
import LinearAlgebra
import Networks
import Tensors

/// How an adapter takes part in a pass.
public enum Folding: Sendable, CaseIterable {
    /// Folded where a copy of the weights fits in memory. The choice never depends on the samples, so that neither do
    /// the bits of a sample's result.
    case automatic
    /// Always beside the weights.
    case never
    /// Always added to a copy of the weights.
    case always
}

/// A subject that is ready to run: the backbone or a copy of it with the adapter folded in, else the adapter's slot.
struct PreparedSubject: Sendable {
    let backbone: Backbone<Float>
    let mix: AdapterMix<Float>?
    /// The first layer that differs from the bare backbone; the depth when none does.
    let firstLayer: Int
    /// Memory that the subject takes beyond the backbone's.
    let byteCount: Int

    init(backbone: Backbone<Float>) {
        self.backbone = backbone
        mix = nil
        firstLayer = backbone.description.depth
        byteCount = 0
    }

    /// - Throws: as `LoRASlot`: `backbone.adapter_mismatch`, `config.feature_unsupported`, `adapter.duplicate_module`.
    init(
        _ adapter: Adapter, label: String, on backbone: Backbone<Float>, folding: Folding, memoryLimitBytes: Int
    ) throws {
        let slot = try LoRASlot<Float>(adapter, name: label, on: backbone.description)
        firstLayer = slot.pairs.map(\.site.layer).min() ?? backbone.description.depth
        let fits = Self.foldedBytes(backbone) <= memoryLimitBytes
        if folding == .always || (folding == .automatic && fits) {
            self.backbone = try backbone.adding(slot.deltas())
            mix = nil
            byteCount = Self.foldedBytes(backbone)
        } else {
            self.backbone = backbone
            mix = try AdapterMix([slot], on: backbone.description)
            byteCount = slot.count * 16
        }
    }

    /// A copy of the weights and their packed form.
    private static func foldedBytes(_ backbone: Backbone<Float>) -> Int { backbone.parameters.count * 8 }
}

extension LoRASlot<Float> {
    /// scale·B·A of every site, in double precision, then rounded once.
    public func deltas() throws -> [SiteID: Matrix<Float>] {
        var result: [SiteID: Matrix<Float>] = [:]
        for pair in pairs {
            let a = Matrix(rows: pair.rank, columns: pair.inputs, elements: self.a(pair).map(Double.init))
            let b = Matrix(rows: pair.outputs, columns: pair.rank, elements: self.b(pair).map(Double.init))
            let delta = try multiply(b, a, alpha: pair.scale)
            result[pair.site] = Matrix(
                rows: pair.outputs, columns: pair.inputs, elements: delta.elements.map(Float.init))
        }
        return result
    }
}
