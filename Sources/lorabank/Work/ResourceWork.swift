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
        let (resource, folder, shipped) = try place(of: subject)
        let facts = try facts(folder)
        let members =
            resource.map(ResourceWork.row) ?? [
                .init("name", shipped ? .string(subject) : .null), .init("folder", .string(folder)),
            ]
        session.result(.document(kind.rawValue, [.init(kind.rawValue, .object(members + facts.json))])) {
            let head = resource.map {
                "\(session.shown($0.name))  \(Quantities.bytes($0.bytes)), \($0.files) files, \($0.digest.prefix(12))\n"
            }
            return (head ?? "") + session.shown(facts.text) + "\n"
                + facts.details.map { session.shown($0) + "\n" }.joined()
        }
    }

    private typealias Place = (resource: BankResource?, folder: String, shipped: Bool)

    /// - Throws: `io.not_found` with the nearest names.
    private func place(of subject: String) throws -> Place {
        if let resource = try known(subject) { return (resource, resource.folder, false) }
        if let shipped = try shippedFolder(subject) { return (nil, shipped, true) }
        if FileManager.default.fileExists(atPath: subject) { return (nil, subject, false) }
        let names = ((try? session.bank().resources(kind)) ?? []).map(\.name) + StarterFolder.names(kind)
        throw Failure(
            .ioNotFound, "there is no \(kind.rawValue) '\(subject)'",
            hint: Spelling.hint(for: subject, among: names) ?? "lorabank \(kind.rawValue) list")
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
        let facts = try DataFacts(folder: folder)
        return Facts(text: facts.text, details: facts.details, json: facts.json)
    }

    /// Writes the page of a data set.
    ///
    /// - Parameter subject: a name of the bank, a name that ships with the program, or a folder.
    func writePage(_ subject: String, perClass: Int?, to path: String, replacing: Bool, dryRun: Bool) throws {
        let place = try place(of: subject)
        let isName = place.resource != nil || place.shipped
        let page = DataPage(
            facts: try DataFacts(folder: place.folder),
            name: isName ? subject : URL(fileURLWithPath: place.folder).standardizedFileURL.lastPathComponent,
            perClass: perClass)
        let digest = place.resource.map { " · files \($0.digest)" } ?? ""
        let html = page.page(origin: "lorabank \(LoRABank.version) · \(subject)\(digest)").html
        if !dryRun { try AtomicFile.write(Array(html.utf8), to: path, overwrite: replacing) }
        let members: [JSONValue.Member] = [
            .init("name", .string(subject)), .init("folder", .string(place.folder)),
        ]
        session.result(
            .document(
                kind.rawValue,
                [
                    .init(kind.rawValue, .object(members + page.facts.json)), .init("path", .string(path)),
                    .init("bytes", .integer(html.utf8.count)), .init("dry_run", .bool(dryRun)),
                ])
        ) {
            "\(dryRun ? "would write" : "wrote") \(session.shown(path)) (\(Quantities.bytes(html.utf8.count)))\n"
        }
    }
}
