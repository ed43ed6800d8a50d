import Foundation
import Tensors
import WeightFiles

/// Writes small safetensors files for tests.
enum TensorFile {
    struct Entry {
        var name: String
        var shape: [Int]
        var values: [Double]
        var dtype = DType.f32
    }

    /// A file in the temporary folder; the caller removes it.
    static func write(_ entries: [Entry]) throws -> String {
        let path = NSTemporaryDirectory() + "tensors-\(UUID().uuidString).safetensors"
        let layout = try SafetensorsLayout(
            entries.map { TensorDeclaration($0.name, $0.dtype, $0.shape) }, metadata: [:])
        let writer = try SafetensorsWriter(path: path, layout: layout, overwrite: false)
        for entry in entries {
            let bytes: [UInt8] =
                entry.dtype == .u8
                ? entry.values.map { UInt8($0) } : entry.values.map(Float.init).withUnsafeBytes { Array($0) }
            guard let position = layout.position(of: entry.name) else { continue }
            try bytes.withUnsafeBytes { try writer.write($0, to: position) }
        }
        try writer.commit()
        return path
    }

    static func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }
}
