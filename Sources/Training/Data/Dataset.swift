import Diagnostics
import Foundation
import WeightFiles

/// A data set in a folder, whatever its form: `meta.json` with IDX, TSV, CSV or NPZ files, CIFAR binaries, or a folder
/// of images per class.
public struct Dataset: Sendable {
    public let path: String
    public let description: DatasetDescription
    private let layout: Layout

    private enum Layout {
        case described
        case cifar(labelBytes: Int)
        case images(splits: [String])
    }

    public var classNames: [String] { description.classes.map(\.name) }

    /// - Throws: `data.missing` when the folder holds nothing that is understood.
    public init(path: String) throws {
        self.path = path
        let files = FileManager.default
        if files.fileExists(atPath: path + "/meta.json") {
            description = try DatasetDescription(path: path + "/meta.json")
            layout = .described
        } else if files.fileExists(atPath: path + "/data_batch_1.bin") {
            let names = try CIFARNames.read(path + "/batches.meta.txt", count: 10)
            description = DatasetDescription(classes: names)
            layout = .cifar(labelBytes: 1)
        } else if files.fileExists(atPath: path + "/train.bin") {
            let names = try CIFARNames.read(path + "/fine_label_names.txt", count: 100)
            description = DatasetDescription(classes: names)
            layout = .cifar(labelBytes: 2)
        } else {
            let splits = ["train", "val", "test"].filter { files.fileExists(atPath: path + "/" + $0) }
            let root = splits.contains("train") ? path + "/train" : path
            guard files.fileExists(atPath: root) else { throw Failure(.ioNotFound, "no such folder", path: path) }
            let classes = try ImageFolder.read(root).classes
            description = DatasetDescription(classes: classes.map { ClassDescription(name: $0, group: nil) })
            layout = .images(splits: splits)
        }
    }

    public func train() throws -> TrainSplit { TrainSplit(try samples(["train"])) }

    /// The validation split when the data set ships one, else nil.
    public func validation() throws -> ValSplit? {
        switch layout {
        case .described where DatasetFiles.find("val", in: path) == nil: nil
        case .images(let splits) where !splits.contains("val"): nil
        case .cifar: nil
        default: ValSplit(try samples(["val"]))
        }
    }

    public func test() throws -> TestSplit { TestSplit(try samples(["test", "t10k"])) }

    /// The samples of the first of `names` that exists.
    private func samples(_ names: [String]) throws -> LabelledSamples {
        switch layout {
        case .described:
            for name in names {
                if let found = DatasetFiles.find(name, in: path) {
                    return try DatasetFiles.read(found, description: description)
                }
            }
            throw missing(names)
        case .cifar(let labelBytes): return try cifar(names, labelBytes: labelBytes)
        case .images(let splits):
            guard !splits.isEmpty else { return try ImageFolder.read(path).samples }
            guard let name = names.first(where: splits.contains) else { throw missing(names) }
            let part = try ImageFolder.read(path + "/" + name)
            guard part.classes == classNames else {
                throw Failure(
                    .dataMalformed, "the class folders differ from those of the training split", path: path + "/" + name
                )
            }
            return part.samples
        }
    }

    private func missing(_ names: [String]) -> Failure {
        Failure(.dataMissing, "the data set has no split '\(names[0])'", path: path)
    }

    private func cifar(_ names: [String], labelBytes: Int) throws -> LabelledSamples {
        let isTrain = names.contains("train")
        let files =
            labelBytes == 1
            ? (isTrain ? (1...5).map { "data_batch_\($0).bin" } : ["test_batch.bin"])
            : [isTrain ? "train.bin" : "test.bin"]
        var pixels: [UInt8] = []
        var labels: [Int] = []
        for file in files {
            let part = try CIFARFile.read(path + "/" + file, labelBytes: labelBytes)
            guard case .images(let set) = part.store else { continue }
            pixels += set.pixels
            labels += part.labels
        }
        try DatasetFiles.checkLabels(labels, classes: classNames.count, path: path)
        return LabelledSamples(store: .images(ImageSet(shape: CIFARFile.shape, pixels: pixels)), labels: labels)
    }
}

/// Class names of CIFAR's text files.
enum CIFARNames {
    /// The names, or the numbers when the file is absent.
    static func read(_ path: String, count: Int) throws -> [ClassDescription] {
        guard FileManager.default.fileExists(atPath: path) else {
            return (0..<count).map { ClassDescription(name: "\($0)", group: nil) }
        }
        let names = try TextFile.read(path, maximumBytes: 1 << 20).split(whereSeparator: \.isNewline).map(String.init)
        guard names.count == count else {
            throw Failure(.dataMalformed, "\(count) class names are expected, there are \(names.count)", path: path)
        }
        return names.map { ClassDescription(name: $0, group: nil) }
    }
}
