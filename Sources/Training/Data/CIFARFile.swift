import Diagnostics
import Tensors

/// The binary form of CIFAR-10 and CIFAR-100: records of label bytes and 3·32·32 pixel bytes.
public enum CIFARFile {
    static let shape = ImageShape(channels: 3, height: 32, width: 32)

    /// - Parameter labelBytes: 1 for CIFAR-10, 2 for CIFAR-100 (coarse, fine; the fine one is the label).
    /// - Throws: `data.malformed` when the size is no multiple of a record.
    public static func read(_ path: String, labelBytes: Int) throws -> LabelledSamples {
        let record = labelBytes + shape.count
        var pixels: [UInt8] = []
        var labels: [Int] = []
        try MappedFile(path: path).withBytes { bytes in
            guard !bytes.isEmpty, bytes.count % record == 0 else {
                throw Failure(
                    .dataMalformed, "\(bytes.count) bytes are no multiple of a record of \(record)", path: path)
            }
            pixels.reserveCapacity(bytes.count / record * shape.count)
            for start in stride(from: 0, to: bytes.count, by: record) {
                labels.append(Int(bytes[start + labelBytes - 1]))
                pixels += bytes[(start + labelBytes)..<(start + record)]
            }
        }
        return LabelledSamples(store: .images(ImageSet(shape: shape, pixels: pixels)), labels: labels)
    }
}
