import Diagnostics
import Evaluation
import Reports
import Training
import WeightFiles

/// What is in a data folder, split by split.
struct DataFacts {
    struct Split {
        var name: String
        var samples: LabelledSamples
        /// SHA-256 over all contents and labels.
        var content: String
        /// Samples of each class.
        var counts: [Int]

        var count: Int { samples.count }
    }

    let dataset: Dataset
    /// `train`, `val`, `test`: those that there are.
    let splits: [Split]

    /// - Throws: `data.missing` when there is no split, and what reading throws.
    init(folder: String) throws {
        let dataset = try Dataset(path: folder)
        let classes = dataset.classNames.count
        func split(_ name: String, _ samples: LabelledSamples) -> Split {
            Split(
                name: name, samples: samples, content: samples.contentHash.hex,
                counts: samples.positions(classes: classes).map(\.count))
        }
        var splits: [Split] = []
        if let train = try DataFacts.available({ try dataset.train().samples }) { splits.append(split("train", train)) }
        if let validation = try dataset.validation() { splits.append(split("val", validation.samples)) }
        if let test = try DataFacts.available({ try dataset.test().read(for: "facts") }) {
            splits.append(split("test", test))
        }
        guard !splits.isEmpty else { throw Failure(.dataMissing, "the data have no split", path: folder) }
        self.dataset = dataset
        self.splits = splits
    }

    /// The samples, or nil where the data have no such split.
    private static func available(_ samples: () throws -> LabelledSamples) throws -> LabelledSamples? {
        do { return try samples() } catch let failure as Failure where failure.code == .dataMissing { return nil }
    }

    var text: String {
        "\(dataset.classNames.count) classes, " + splits.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
    }

    var details: [String] {
        [what] + zip(dataset.description.taskNames, dataset.description.tasks).map { "task \($0): \($1.count) classes" }
            + splits.map { "content \($0.name): \($0.content)" }
    }

    /// `images 1×28×28, bytes 0 to 255` or `texts`.
    var what: String {
        switch splits[0].samples.store {
        case .texts: return "texts"
        case .images(let set):
            let range = dataset.description.valueRange
            return "images \(set.shape.channels)×\(set.shape.height)×\(set.shape.width), "
                + "bytes \(range.lowerBound) to \(range.upperBound)"
        }
    }

    var json: [JSONValue.Member] {
        let names = dataset.classNames
        let tasks = zip(dataset.description.taskNames, dataset.description.tasks)
        return [
            .init("classes", .integer(names.count)),
            .init("splits", .object(splits.map { .init($0.name, .integer($0.count)) })),
            .init("tasks", .object(tasks.map { .init($0, .texts($1.map { names[$0] })) })),
            .init("samples", .string(what)), .init("class_names", .texts(names)),
            .init(
                "counts", .object(splits.map { .init($0.name, .array($0.counts.map(JSONValue.integer))) })),
            .init("content", .object(splits.map { .init($0.name, .string($0.content)) })),
        ]
    }
}
