import Diagnostics
import Foundation
import Networks
import Settings
import Training

/// A suite with everything that it names opened: backbone, data, tokenizer, tasks.
///
/// ```swift
/// let loaded = try LoadedSuite(SuiteReader.read(path: "suite.yaml"))
/// let samples = try loaded.encode(loaded.samples())
/// ```
public final class LoadedSuite: Sendable {
    public let suite: Suite
    public let backboneFolder: String
    public let backbone: Backbone<Float>
    public let dataset: Dataset
    public let tasks: TaskMap
    /// One name per task.
    public let taskNames: [String]
    private let encoder: SampleEncoder

    /// - Throws: `io.not_found` for a backbone or data that is neither a folder nor a known name; what loading them
    ///   throws; `recipe.bad_parameter` for tasks that do not fit the data; `backbone.bad_input` when the backbone does
    ///   not read such data; `config.feature_unsupported` for a feature that it does not have.
    ///
    /// - Parameter precision: what the backbone's linears multiply.
    public init(
        _ suite: Suite, resources: any SuiteResources = FoldersOnly(), precision: Precision = .float32
    ) throws {
        var suite = suite
        do {
            let places = SuitePlaces(suite: suite, resources: resources)
            backboneFolder = try places.backbone()
            dataset = try Dataset(path: places.data())
            let tasks = try TaskChoice(suite: suite, dataset: dataset)
            self.tasks = try TaskMap(classes: dataset.classNames.count, tasks: tasks.classes)
            taskNames = tasks.names
            backbone = try Backbone<Float>(folder: backboneFolder, precision: precision)
            if suite.asksBackbone { suite.fill(from: backbone) }
            self.suite = suite
            guard backbone.description.poolings.contains(suite.feature) else {
                throw Failure(
                    .configFeatureUnsupported, "the backbone has no feature '\(suite.feature.rawValue)'",
                    place: "feature",
                    hint: "it has: " + backbone.description.poolings.map(\.rawValue).joined(separator: ", "))
            }
            encoder = try SampleEncoder(
                suite: suite, backbone: backbone.description, folder: backboneFolder,
                largestValue: dataset.description.valueRange.upperBound)
        } catch let failure as Failure {
            throw suite.path.map { failure.at(path: $0) } ?? failure
        }
    }

    /// The samples that the suite evaluates on, in source order.
    ///
    /// - Throws: `data.missing` when the data have no such split, `data.too_few` when none is left.
    public func samples() throws -> LabelledSamples {
        let part = try split(suite.data.split, suite.data.perClass)
        guard part.count > 0 else {
            throw Failure(
                .dataTooFew, "no sample is left in split '\(suite.data.split.rawValue)'", path: dataset.path)
        }
        return part
    }

    /// The training samples of a fitted head.
    public func trainingSamples(_ perClass: Suite.PerClass? = nil) throws -> LabelledSamples {
        try split(.train, perClass)
    }

    /// Samples as the backbone reads them.
    ///
    /// - Throws: `backbone.bad_input` for texts instead of images and the reverse, for images of another size.
    public func encode(_ samples: LabelledSamples) throws -> EncodedSamples { try encoder.encode(samples) }

    var readsImages: Bool { if case .images = backbone.description.input { true } else { false } }

    /// The images that the backbone reads; 0×0×0 for texts.
    var imageShape: ImageShape {
        guard case .images(let channels, let height, let width) = backbone.description.input else {
            return ImageShape(channels: 0, height: 0, width: 0)
        }
        return ImageShape(channels: channels, height: height, width: width)
    }

    private func split(_ split: Suite.Split, _ perClass: Suite.PerClass?) throws -> LabelledSamples {
        let all: LabelledSamples
        switch split {
        case .train: all = try dataset.train().samples
        case .test: all = try dataset.test().read(for: "suite \(suite.name)")
        case .val:
            guard let found = try dataset.validation() else {
                throw Failure(
                    .dataMissing, "the data have no split 'val'", path: dataset.path,
                    hint:
                        "use a part of the training split: data: { split: train, per_class: { skip: 1000, take: 100 } }"
                )
            }
            all = found.samples
        }
        guard let perClass else { return all }
        let wanted = all.positions(classes: dataset.classNames.count).flatMap { positions in
            let rest = positions.dropFirst(perClass.skip)
            return Array(perClass.take.map { rest.prefix($0) } ?? rest)
        }
        return all.selecting(wanted.sorted())
    }
}

extension Suite {
    /// Fills in what was not said.
    fileprivate mutating func fill(from backbone: Backbone<Float>) {
        if !saysFeature { feature = backbone.description.family == "vit" ? .cls : .mean }
        guard !saysInput else { return }
        let noted = backbone.configuration["normalisation"] ?? backbone.configuration["normalization"]
        if let mean = noted?["mean"]?.double { input.mean = [Float(mean)] }
        if let std = noted?["std"]?.double, std > 0 { input.std = [Float(std)] }
        input.resize = true
    }
}

/// Finds the folders that a suite means.
private struct SuitePlaces {
    let suite: Suite
    let resources: any SuiteResources

    func backbone() throws -> String {
        try folder(
            suite.backbone, "backbone", marker: "/config.json", known: resources.backboneNames,
            lookUp: resources.backboneFolder)
    }

    func data() throws -> String {
        try folder(suite.data.reference, "data", marker: "", known: resources.dataNames, lookUp: resources.dataFolder)
    }

    /// A folder wins over a name of the same spelling.
    private func folder(
        _ reference: Located<String>, _ kind: String, marker: String, known: [String],
        lookUp: (String) throws -> String?
    ) throws -> String {
        let text = reference.value
        let path = text.hasPrefix("/") || suite.folder.isEmpty ? text : suite.folder + "/" + text
        if FileManager.default.fileExists(atPath: path + marker) { return path }
        // Runs keep this path and may be resumed from elsewhere; the bank may have been named by a relative one.
        if !text.contains("/"), let found = try lookUp(text) { return URL(fileURLWithPath: found).path }
        let isName = !text.contains("/") && !FileManager.default.fileExists(atPath: path)
        throw Failure(
            .ioNotFound,
            isName
                ? "there is no \(kind) '\(text)': no folder beside the suite, and no name that the bank knows"
                : "there is no \(kind) in '\(text)'", place: reference.place.description,
            hint: isName
                ? Spelling.hint(for: text, among: known) ?? "lorabank \(kind) import PATH --name \(text)"
                : kind == "backbone" ? "a backbone folder holds config.json and model.safetensors" : nil)
    }
}
