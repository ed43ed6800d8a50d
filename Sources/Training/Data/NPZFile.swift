import Diagnostics
import Foundation
import Tensors
import WeightFiles

/// A `.npz` archive with one array of images and one of labels.
enum NPZFile {
    private static let imageNames = ["images.npy", "x.npy", "X.npy", "data.npy"]
    private static let labelNames = ["labels.npy", "y.npy", "Y.npy", "label.npy"]

    /// Images are [n, h, w], [n, c, h, w] with c = 1 or 3, or [n, h, w, c].
    static func samples(_ path: String, classes: Int) throws -> LabelledSamples {
        let folder = FileManager.default.temporaryDirectory.path + "/lorabank-npz-" + UUID().uuidString
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw Failure(.ioFailed, "cannot make a temporary folder", path: folder)
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let listing = try ArchiveReader(path: path).unpack(into: folder) { _, number in "\(number).npy" }
        func array(_ names: [String]) throws -> NPYFile {
            guard let member = listing.members.first(where: { names.contains($0.name) }), let stored = member.storedAt
            else {
                throw Failure(
                    .dataMissing, "the archive has none of the arrays \(names.joined(separator: ", "))", path: path)
            }
            let name = stored.hasPrefix("/") ? stored : folder + "/" + stored
            return try NPYFile(bytes: MappedFile(path: name).withBytes { Array($0) }, path: path, place: member.name)
        }
        let images = try imageSet(array(imageNames), path: path)
        let labels = try array(labelNames).values
        guard labels.count == images.count else {
            throw Failure(.dataMalformed, "\(images.count) images, but \(labels.count) labels", path: path)
        }
        try DatasetFiles.checkLabels(labels, classes: classes, path: path)
        return LabelledSamples(store: .images(images), labels: labels)
    }

    private static func imageSet(_ array: NPYFile, path: String) throws -> ImageSet {
        guard array.values.allSatisfy({ (0...255).contains($0) }) else {
            throw Failure(.dataUnsupported, "pixel values must be bytes 0…255", path: path)
        }
        let bytes = array.values.map { UInt8($0) }
        let shape = array.shape
        if shape.count == 3 {
            return ImageSet(shape: ImageShape(channels: 1, height: shape[1], width: shape[2]), pixels: bytes)
        }
        guard shape.count == 4 else {
            throw Failure(.dataMalformed, "images need 3 or 4 dimensions, not \(shape.count)", path: path)
        }
        if shape[1] == 1 || shape[1] == 3 {
            return ImageSet(shape: ImageShape(channels: shape[1], height: shape[2], width: shape[3]), pixels: bytes)
        }
        let size = shape[1] * shape[2] * shape[3]
        var pixels: [UInt8] = []
        pixels.reserveCapacity(bytes.count)
        for start in stride(from: 0, to: bytes.count, by: max(1, size)) {
            pixels +=
                ImageFile.planar(
                    Array(bytes[start..<(start + size)]), channels: shape[3], height: shape[1], width: shape[2]
                ).pixels
        }
        return ImageSet(shape: ImageShape(channels: shape[3], height: shape[1], width: shape[2]), pixels: pixels)
    }
}
