import Bank
import Diagnostics
import Evaluation
import Foundation
import Networks
import Reports
import Training
import WeightFiles

/// `backbone` and `data`: what suites and runs name.
struct ResourceWork {
    let session: Session
    let kind: BankResource.Kind

    func list() throws {
        let resources = try session.bank().resources(kind)
        let key = kind.plural
        session.result(
            .document(kind.rawValue, [.init(key, .array(resources.map { .object(ResourceWork.row($0)) }))])
        ) {
            guard !resources.isEmpty else { return "" }
            var table = TerminalTable([
                .text("NAME"), .number("FILES"), .number("SIZE"), .text("DIGEST"), .text("FOLDER", shrinks: true),
                .text("ADDED"),
            ])
            for resource in resources {
                table.add([
                    resource.name, "\(resource.files)", Quantities.bytes(resource.bytes),
                    String(resource.digest.prefix(12)), resource.isLinked ? resource.folder : "in the bank",
                    Timestamp.ago(resource.importedAt),
                ])
            }
            return session.rendered(table)
        }
        if resources.isEmpty, !session.options.json {
            session.note("none yet: lorabank \(kind.rawValue) import PATH --name NAME")
        }
    }

    func `import`(_ path: String, name: String?, linked: Bool, replacing: Bool, dryRun: Bool) throws {
        let name = name ?? AdapterName.proposal(from: URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent)
        let facts = try facts(path)
        var members: [JSONValue.Member] = [.init("name", .string(name)), .init("dry_run", .bool(dryRun))]
        if !dryRun {
            let resource = try session.bank(writing: true).importResource(
                kind, from: path, named: name, linked: linked, replacing: replacing, progress: session.progress)
            members = ResourceWork.row(resource) + [.init("dry_run", .bool(false))]
        }
        session.result(.document(kind.rawValue, [.init(kind.rawValue, .object(members + facts.json))])) {
            let verb = dryRun ? "would import" : linked ? "linked" : "imported"
            return "\(verb) \(kind.rawValue) '\(session.shown(name))': \(session.shown(facts.text))\n"
        }
    }

    /// - Parameter subject: a name of the bank, or a folder.
    func show(_ subject: String) throws {
        let resource = try known(subject)
        let shipped = resource == nil ? try shippedFolder(subject) : nil
        if resource == nil, shipped == nil, !FileManager.default.fileExists(atPath: subject) {
            let names = ((try? session.bank().resources(kind)) ?? []).map(\.name) + StarterFolder.names(kind)
            throw Failure(
                .ioNotFound, "there is no \(kind.rawValue) '\(subject)'",
                hint: Spelling.hint(for: subject, among: names) ?? "lorabank \(kind.rawValue) list")
        }
        let folder = resource?.folder ?? shipped ?? subject
        let facts = try facts(folder)
        let members =
            resource.map(ResourceWork.row) ?? [
                .init("name", shipped == nil ? .null : .string(subject)), .init("folder", .string(folder)),
            ]
        session.result(.document(kind.rawValue, [.init(kind.rawValue, .object(members + facts.json))])) {
            let head = resource.map {
                "\(session.shown($0.name))  \(Quantities.bytes($0.bytes)), \($0.files) files, \($0.digest.prefix(12))\n"
            }
            return (head ?? "") + session.shown(facts.text) + "\n"
                + facts.details.map { session.shown($0) + "\n" }.joined()
        }
    }

    /// The folder of what ships with the program under this name; a folder of the same spelling wins.
    private func shippedFolder(_ name: String) throws -> String? {
        FileManager.default.fileExists(atPath: name) ? nil : try SessionResources(session).folder(kind, name)
    }

    private func known(_ subject: String) throws -> BankResource? {
        do { return try session.bank().resource(kind, named: subject) } catch let failure as Failure
            where failure.code == .bankMissing && session.options.bank == nil
        { return nil }
    }

    static func row(_ resource: BankResource) -> [JSONValue.Member] {
        [
            .init("name", .string(resource.name)), .init("folder", .string(resource.folder)),
            .init("linked", .bool(resource.isLinked)), .init("digest", .string(resource.digest)),
            .init("files", .integer(resource.files)), .init("bytes", .integer(resource.bytes)),
            .init("imported_at", .string(resource.importedAt)),
        ]
    }

    // MARK: What is in the folder

    private struct Facts {
        var text: String
        var details: [String] = []
        var json: [JSONValue.Member]
    }

    private func facts(_ folder: String) throws -> Facts {
        kind == .backbone ? try backboneFacts(folder) : try dataFacts(folder)
    }

    private func backboneFacts(_ folder: String) throws -> Facts {
        let backbone = try Backbone<Float>(folder: folder)
        let description = backbone.description
        let input: String
        switch description.input {
        case .images(let channels, let height, let width): input = "images \(channels)×\(height)×\(width)"
        case .tokens(let vocabulary, let positions):
            input = "\(vocabulary) tokens" + (positions.map { ", at most \($0) per sample" } ?? "")
        }
        let sites = description.sites.filter { $0.layer == 0 }.map(\.kind.rawValue)
        return Facts(
            text: "\(description.modelType), \(description.depth) layers of width \(description.width), "
                + "\(Quantities.count(backbone.parameters.count)) parameters",
            details: [
                "reads \(input)", "features: " + description.poolings.map(\.rawValue).joined(separator: ", "),
                "sites per layer: " + sites.joined(separator: ", "),
            ],
            json: [
                .init("family", .string(description.family)), .init("model_type", .string(description.modelType)),
                .init("layers", .integer(description.depth)), .init("width", .integer(description.width)),
                .init("parameters", .integer(backbone.parameters.count)), .init("input", .string(input)),
                .init("features", .texts(description.poolings.map(\.rawValue))), .init("sites", .texts(sites)),
            ])
    }

    private func dataFacts(_ folder: String) throws -> Facts {
        let dataset = try Dataset(path: folder)
        var splits: [(name: String, count: Int)] = []
        if let train = try available({ try dataset.train().samples.count }) { splits.append(("train", train)) }
        if let validation = try dataset.validation() { splits.append(("val", validation.samples.count)) }
        if let test = try available({ try dataset.test().count }) { splits.append(("test", test)) }
        guard !splits.isEmpty else { throw Failure(.dataMissing, "the data have no split", path: folder) }
        let tasks = zip(dataset.description.taskNames, dataset.description.tasks)
        return Facts(
            text: "\(dataset.classNames.count) classes, "
                + splits.map { "\($0.name) \($0.count)" }.joined(separator: ", "),
            details: tasks.map { "task \($0): \($1.count) classes" },
            json: [
                .init("classes", .integer(dataset.classNames.count)),
                .init("splits", .object(splits.map { .init($0.name, .integer($0.count)) })),
                .init(
                    "tasks",
                    .object(tasks.map { .init($0, .texts($1.map { dataset.classNames[$0] })) })),
            ])
    }

    /// The number, or nil where the data have no such split.
    private func available(_ count: () throws -> Int) throws -> Int? {
        do { return try count() } catch let failure as Failure where failure.code == .dataMissing { return nil }
    }
}
