import Adapters
import Foundation
import Tensors
import WeightFiles

/// Writes made-up adapters of a model's shape as PEFT folders, once: existing ones are used again.
struct AdapterGenerator {
    let options: BenchOptions

    private var layers: Int { options.layers ?? options.shape.layers }

    /// The folders of the adapters.
    func folders() throws -> [String] {
        try (0..<options.adapters).map { index in
            let key = "\(options.shape.name)-l\(layers)-r\(options.rank)-\(options.dtype.rawValue.lowercased())"
            let folder = "\(options.folder)/inputs/\(key)/adapter-\(index)"
            if !FileManager.default.fileExists(atPath: folder + "/" + PEFTWriter.configurationName) {
                try write(index, to: folder)
            }
            return folder
        }
    }

    private func write(_ index: Int, to folder: String) throws {
        let modules = (0..<layers).flatMap { layer in
            options.shape.projections.map { projection in
                PEFTModule(
                    name: "model.layers.\(layer).\(projection.name)", rank: options.rank,
                    deltaShape: [projection.out, projection.input], alpha: Double(2 * options.rank),
                    dtype: options.dtype)
            }
        }
        let layout = PEFTLayout(modules: modules)
        let atomic = try AtomicFolder(path: folder, overwrite: true)
        let writer = try SafetensorsWriter(
            path: atomic.file(PEFTWriter.weightsName),
            layout: try SafetensorsLayout(
                layout.tensors.map { TensorDeclaration($0.name, $0.dtype, $0.shape) }, metadata: PEFTWriter.metadata))
        for tensor in layout.tensors {
            let buffer = try TensorBuffer(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape)
            var values = [Float](repeating: 0, count: buffer.count)
            values.withUnsafeMutableBufferPointer {
                CounterRandom(seed: UInt64(index), stream: tensor.name).fillNormals(from: 0, into: $0)
            }
            try values.map { 0.02 * $0 }.withUnsafeBufferPointer { _ = try buffer.write($0) }
            try writer.write(UnsafeRawBufferPointer(buffer.bytes), toTensor: tensor.name)
        }
        try writer.commit()
        let configuration = PEFTWriter.configuration(for: layout, base: BaseIdentity(name: "bench/model"), source: nil)
        try AtomicFile.write(
            Array(configuration.text(.indented(2)).utf8), to: atomic.file(PEFTWriter.configurationName))
        try atomic.commit()
    }
}
