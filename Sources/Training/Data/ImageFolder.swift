import Diagnostics
import Foundation

/// A folder with one sub-folder of PNG or JPEG files per class.
public enum ImageFolder {
    static let extensions: Set<String> = ["png", "jpg", "jpeg"]

    /// Classes are the sub-folders in byte order of their names, samples the files in byte order within each.
    ///
    /// - Throws: `data.malformed` when the images differ in size (`expected` and `found` name them) or a class is empty.
    public static func read(_ path: String) throws -> (classes: [String], samples: LabelledSamples) {
        let classes = try subfolders(of: path)
        guard !classes.isEmpty else {
            throw Failure(
                .dataMalformed, "no sub-folder with images", path: path,
                hint: "put the images of each class into a folder")
        }
        let files = try classes.map { try images(in: path + "/" + $0) }
        let grayscale = try files.joined().allSatisfy { try ImageFile.isGrayscale($0) }
        var shape: ImageShape?
        var pixels: [UInt8] = []
        var labels: [Int] = []
        for (label, paths) in files.enumerated() {
            for file in paths {
                let image = try ImageFile.read(file, grayscale: grayscale)
                if let shape, shape != image.shape {
                    throw Failure(
                        .dataMalformed, "all images must have one size", path: file,
                        details: [
                            "expected": "\(shape.width)x\(shape.height)",
                            "found": "\(image.shape.width)x\(image.shape.height)",
                        ])
                }
                shape = image.shape
                pixels += image.pixels
                labels.append(label)
            }
        }
        let set = ImageSet(shape: shape ?? ImageShape(channels: 1, height: 0, width: 0), pixels: pixels)
        return (classes, LabelledSamples(store: .images(set), labels: labels))
    }

    private static func subfolders(of path: String) throws -> [String] {
        try entries(of: path).filter { name in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: path + "/" + name, isDirectory: &isFolder)
                && isFolder.boolValue
        }
    }

    private static func images(in folder: String) throws -> [String] {
        let found = try entries(of: folder).filter { name in
            extensions.contains((name as NSString).pathExtension.lowercased())
        }
        guard !found.isEmpty else {
            throw Failure(.dataMalformed, "the class folder holds no PNG or JPEG file", path: folder)
        }
        return found.map { folder + "/" + $0 }
    }

    private static func entries(of path: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }
                .sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        } catch {
            throw Failure(.ioNotFound, "no such folder", path: path)
        }
    }
}
