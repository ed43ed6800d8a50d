import Diagnostics
import Networks
import Tensors
import WeightFiles

/// Writes a backbone as the folder that others load: `config.json` and `model.safetensors`.
public enum BackboneWriter {
    /// Rounds every weight to what `dtype` holds, so that what is measured afterwards is what the file gives.
    public static func round(_ backbone: Backbone<Float>, to dtype: DType) {
        guard dtype == .f16 else { return }
        let values = backbone.parameters.values
        for i in values.indices { values[i] = Float(Float16(values[i])) }
        backbone.weightsChanged()
    }

    /// The weights in the spelling of the backbone's family; `dtype` is f32 or f16.
    ///
    /// - Throws: `output.exists`, `io.*`.
    public static func writeWeights(
        _ backbone: Backbone<Float>, dtype: DType, metadata: [String: String] = [:], to path: String
    ) throws {
        let tensors = backbone.checkpointTensors
        let layout = try SafetensorsLayout(
            tensors.map { TensorDeclaration($0.name, dtype, $0.shape) }, metadata: metadata)
        let writer = try SafetensorsWriter(path: path, layout: layout)
        for tensor in tensors {
            let values = UnsafeMutableBufferPointer(
                rebasing: backbone.parameters.values[tensor.offset..<tensor.offset + tensor.count])
            if dtype == .f16 {
                let halves = values.map { Float16($0).bitPattern }
                try halves.withUnsafeBytes { try writer.write($0, toTensor: tensor.name) }
            } else {
                try writer.write(UnsafeRawBufferPointer(values), toTensor: tensor.name)
            }
        }
        try writer.commit()
    }
}
