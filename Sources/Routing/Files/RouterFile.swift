import Diagnostics
import Digests
import Evaluation
import Foundation
import Networks
import Settings
import Tensors
import WeightFiles

/// A router on disk: `router.safetensors` and `router.json` in one folder (LoRA-Mixer reference, section 10).
public struct RouterFile: Sendable {
    public static let schema = "lorabank.router_file/1"
    public static let weightsName = "router.safetensors"
    public static let documentName = "router.json"

    /// An expert as a router remembers it.
    public struct ExpertRecord: Sendable, Hashable {
        public var id: String
        /// How to find it again: a reference of the bank, or a path.
        public var reference: String
        /// Content identity of the update.
        public var sha256: String
        public var object: String?
        /// The task that it stands for.
        public var task: String?
    }

    public let folder: String
    public let document: JSONValue
    public let experts: [ExpertRecord]
    public let setup: RouterSetup
    public let name: String
    /// Digest of the backbone's weights.
    public let base: String
    /// SHA-256 of the parameters and of everything in the document but times and metrics.
    public let identity: String

    /// Digest of a backbone's weights as they are in memory, whatever files they came from.
    public static func digest(of backbone: Backbone<Float>) -> String {
        SHA256Digest.of(UnsafeRawBufferPointer(backbone.parameters.values)).hex
    }

    // MARK: Reading

    /// - Parameter overrides: changes to the `routing` part of the configuration.
    /// - Throws: `io.*`, `router.bad_file`; `recipe.*` for overrides.
    public init(folder: String, overrides: [SettingOverride] = []) throws {
        self.folder = folder
        let path = folder + "/" + Self.documentName
        let file = try MappedFile(path: path)
        let document = try StrictJSON.parse(file.bytes, .configuration, path: path)
        func bad(_ key: String) -> Failure {
            Failure(.routerBadFile, "the router does not say '\(key)'", path: path, place: key)
        }
        guard document["schema"]?.string == Self.schema else { throw bad("schema") }
        guard let name = document["name"]?.string else { throw bad("name") }
        guard let base = document["base"]?["sha256"]?.string else { throw bad("base.sha256") }
        guard let identity = document["id"]?.string else { throw bad("id") }
        guard let configuration = document["configuration"] else { throw bad("configuration") }
        self.document = document
        (self.name, self.base, self.identity) = (name, base, identity)
        experts = try (document["experts"]?.array ?? []).enumerated().map { index, item in
            guard let id = item["id"]?.string, let reference = item["reference"]?.string,
                let sha256 = item["sha256"]?.string
            else { throw bad("experts[\(index)]") }
            return ExpertRecord(
                id: id, reference: reference, sha256: sha256, object: item["object"]?.string,
                task: item["task"]?.string)
        }
        do {
            setup = try RouterConfigurationReader.setup(text: configuration.text(), overrides: overrides)
        } catch let failure as Failure { throw failure.at(path: path) }
    }

    /// The router over experts that were loaded again.
    ///
    /// - Throws: `router.expert_changed` when an expert is not the one that the router was trained over,
    ///   `router.base_mismatch` for another backbone, `router.bad_file` for parameters of another shape or content.
    public func router(over experts: RoutedExperts, suite: LoadedSuite) throws -> TrainedRouter {
        try check(experts)
        let names = experts.experts.map { (name: $0.name, id: $0.id) }
        var given: [String: String] = [:]
        for (record, expert) in zip(self.experts, experts.experts) {
            if let task = record.task, suite.taskNames.contains(task) { given[task] = expert.id }
        }
        let tasks = try ExpertTasks(names: names, taskNames: suite.taskNames, tasks: suite.tasks, given: given)
        let classes = try storedClasses()
        let model = try RouterModel(
            setup.router, coverage: ExpertCoverage(experts.slots.map(\.sites)), on: experts.backbone.description,
            classes: classes)
        try read(into: model)
        guard Self.identity(of: model, document: document) == identity else {
            throw Failure(
                .routerBadFile, "the router's content is not what its id says", path: folder + "/" + Self.documentName,
                place: "id", hint: "a file was changed by hand or damaged; train again or restore it")
        }
        return TrainedRouter(model: model, setup: setup, tasks: tasks)
    }

    private func check(_ experts: RoutedExperts) throws {
        guard experts.count == self.experts.count else {
            throw Failure(
                .routerExpertChanged, "\(experts.count) experts for a router over \(self.experts.count)", path: folder)
        }
        for (record, expert) in zip(self.experts, experts.experts) where record.sha256 != expert.digest {
            throw Failure(
                .routerExpertChanged, "expert '\(record.id)' is not the adapter that the router was trained over",
                path: folder, place: record.id, hint: "restore that adapter, or train the router again",
                details: ["expected": record.sha256, "found": expert.digest])
        }
        let found = Self.digest(of: experts.backbone)
        guard found == base else {
            throw Failure(
                .routerBaseMismatch, "the router was trained on other backbone weights", path: folder, place: "base",
                details: ["expected": base, "found": found])
        }
    }

    private func storedClasses() throws -> [[Int]] {
        (document["classes"]?.array ?? []).map { ($0.array ?? []).compactMap(\.integer) }
    }

    private func read(into model: RouterModel) throws {
        let file = try SafetensorsFile(path: folder + "/" + Self.weightsName)
        for network in model.networks {
            for tensor in network.tensors {
                let name = Self.tensorName(network, tensor)
                guard let view = file.view(name), view.shape == tensor.shape else {
                    throw Failure(
                        .routerBadFile, "no tensor of shape \(tensor.shape)", path: folder + "/" + Self.weightsName,
                        place: name)
                }
                let values = try view.doubleMatrix(rows: 1, columns: view.count).elements
                for (place, value) in zip(tensor.range, values) { model.parameters[place] = value }
            }
        }
    }

    private static func tensorName(_ network: RouterNetwork, _ tensor: RouterNetwork.Tensor) -> String {
        "router.\(network.id).\(tensor.name)"
    }

    // MARK: Writing

    /// Where a router belongs and what it was trained on.
    public struct Provenance: Sendable {
        public var name: String
        public var suite: String
        /// SHA-256 of the training samples, and their number.
        public var dataDigest: String
        public var samples: Int
        /// How each expert is found again.
        public var references: [String]
        public var createdAt: String
        /// What the evaluation found.
        public var metrics: JSONValue = .null

        public init(
            name: String, suite: String, dataDigest: String, samples: Int, references: [String], createdAt: String
        ) {
            self.name = name
            self.suite = suite
            self.dataDigest = dataDigest
            self.samples = samples
            self.references = references
            self.createdAt = createdAt
        }
    }

    /// Writes both files into a folder that exists.
    ///
    /// - Returns: the router's identity.
    @discardableResult
    public static func write(
        _ router: TrainedRouter, over experts: RoutedExperts, taskNames: [String], provenance: Provenance,
        into folder: String
    ) throws -> String {
        var members = document(router, experts, taskNames, provenance)
        let id = identity(of: router.model, document: .object(members))
        members.insert(.init("id", .string(id)), at: 1)
        members.append(.init("metrics", provenance.metrics))
        members.append(.init("created_at", .string(provenance.createdAt)))
        let tensors = try router.model.networks.flatMap { network in
            try network.tensors.map { tensor in
                let values = tensor.range.map { Float(router.model.parameters[$0]) }
                let buffer = try TensorBuffer(name: tensorName(network, tensor), dtype: .f32, shape: tensor.shape)
                _ = try values.withUnsafeBufferPointer { try buffer.write($0) }
                return buffer.view
            }
        }
        try SafetensorsWriter.write(tensors, to: folder + "/" + weightsName, overwrite: true)
        let text = JSONValue.object(members).text(.indented(2)) + "\n"
        try AtomicFile.write(Array(text.utf8), to: folder + "/" + documentName, overwrite: true)
        return id
    }

    private static func document(
        _ router: TrainedRouter, _ experts: RoutedExperts, _ taskNames: [String], _ provenance: Provenance
    ) -> [JSONValue.Member] {
        let rows = zip(experts.experts, provenance.references).enumerated().map { index, item -> JSONValue in
            let slot = experts.slots[index]
            var row: [JSONValue.Member] = [
                .init("id", .string(item.0.id)), .init("reference", .string(item.1)),
                .init("sha256", .string(item.0.digest)),
            ]
            if let object = item.0.object { row.append(.init("object", .string(object))) }
            if let task = router.tasks.taskOfExpert[index] { row.append(.init("task", .string(taskNames[task]))) }
            row.append(
                .init(
                    "sites",
                    .array(
                        slot.pairs.map {
                            .array([.string("\($0.site)"), .integer($0.rank), .double($0.scale)])
                        })))
            return .object(row)
        }
        return [
            .init("schema", .string(schema)), .init("name", .string(provenance.name)),
            .init("base", .object([.init("sha256", .string(digest(of: experts.backbone)))])),
            .init("suite", .string(provenance.suite)), .init("experts", .array(rows)),
            .init("classes", .array(router.tasks.classes.map { .array($0.map(JSONValue.integer)) })),
            .init("configuration", SetupDocument.json(router.setup)),
            .init(
                "data",
                .object([
                    .init("sha256", .string(provenance.dataDigest)), .init("samples", .integer(provenance.samples)),
                ])),
            .init("chosen_step", .integer(router.log.chosenStep)),
        ]
    }

    /// SHA-256 of the parameters (F32, in order) and of the document without times, metrics and itself.
    static func identity(of model: RouterModel, document: JSONValue) -> String {
        var hasher = SHA256Hasher()
        let kept = (document.members ?? []).filter { !["id", "metrics", "created_at"].contains($0.key) }
        hasher.update(JSONValue.object(kept).text(.compact, sortKeys: true))
        model.values.map(Float.init).withUnsafeBufferPointer { hasher.update(UnsafeRawBufferPointer($0)) }
        return hasher.finish().hex
    }
}
