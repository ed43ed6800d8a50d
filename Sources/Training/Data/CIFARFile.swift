import Diagnostics
import Tensors

/// The binary form of CIFAR-10 and CIFAR-100: records of label bytes and 3·32·32 pixel bytes.
public enum CIFARFile {
    static let shape = ImageShape(channels: 3, height: 32, width: 32)

    /// - Parameter labelBytes: 1 for CIFAR-10, 2 for CIFAR-100 (coarse, fine; the fine one is the label).
    /// - Throws: `data.malformed` when the size is no multiple of a record.
    public static func read(_ path: String, labelBytes: Int) throws -> LabelledSamples {
        let file = try MappedFile(path: path)
        let record = labelBytes + shape.count
        guard !file.bytes.isEmpty, file.bytes.count % record == 0 else {
            throw Failure(
                .dataMalformed, "\(file.bytes.count) bytes are no multiple of a record of \(record)", path: path)
        }
        var pixels: [UInt8] = []
        pixels.reserveCapacity(file.bytes.count / record * shape.count)
        var labels: [Int] = []
        for start in stride(from: 0, to: file.bytes.count, by: record) {
            labels.append(Int(file.bytes[start + labelBytes - 1]))
            pixels += file.bytes[(start + labelBytes)..<(start + record)]
        }
        return LabelledSamples(store: .images(ImageSet(shape: shape, pixels: pixels)), labels: labels)
    }
}
