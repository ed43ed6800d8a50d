import Bank
import Diagnostics
import Foundation
import Reports
import Routing
import WeightFiles

/// Routers that the bank knows by name, with lineage to their experts.
struct RouterBankWork {
    let session: Session

    /// The folder that a name of the bank, or a path, means.
    func folder(of text: String) throws -> String {
        if FileManager.default.fileExists(atPath: text + "/" + RouterFile.documentName) { return text }
        if !text.contains("/"), let bank = try? session.bank() {
            if let known = try bank.resource(.router, named: text) { return known.folder }
            if !FileManager.default.fileExists(atPath: text) {
                let names = try bank.resources(.router).map(\.name)
                throw Failure(
                    .ioNotFound, "there is no router '\(text)': no folder, and no name that the bank knows",
                    hint: Spelling.hint(for: text, among: names) ?? "lorabank router import PATH --name \(text)")
            }
        }
        return text
    }

    @discardableResult
    func keep(_ path: String, as name: String, replacing: Bool) throws -> BankResource {
        let file = try RouterFile(folder: path)
        let bank = try session.bank(writing: true)
        // Experts of this bank; one that comes from a path has no place in its lineage.
        let parents = file.experts.compactMap { record -> BankResource.Parent? in
            guard let object = record.object, let row = try? bank.row(for: record.reference), row.object == object
            else {
                return nil
            }
            return .init(reference: row.reference, object: object)
        }
        return try bank.importResource(
            .router, from: path, named: name, replacing: replacing, parents: parents, progress: session.progress)
    }

    func `import`(_ path: String, name: String?, replacing: Bool) throws {
        let name = name ?? AdapterName.proposal(from: URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent)
        let resource = try keep(path, as: name, replacing: replacing)
        let described = try row(resource)
        session.result(.document("router_import", [.init("router", .object(described))])) {
            "imported router '\(session.shown(name))' over \(resource.parents.count) adapters of the bank\n"
        }
    }

    func list() throws {
        let routers = try session.bank().resources(.router)
        let rows = try routers.map(row)
        session.result(.document("router_list", [.init("routers", .array(rows.map(JSONValue.object)))])) {
            guard !routers.isEmpty else { return "" }
            var table = TerminalTable([
                .text("NAME"), .text("ROUTER"), .number("EXPERTS"), .text("STATE", shrinks: true), .text("ADDED"),
            ])
            for resource in routers {
                let identity = (try? RouterFile(folder: resource.folder))?.identity
                table.add([
                    resource.name, String((identity ?? "damaged").prefix(12)), "\(resource.parents.count)",
                    state(resource), Timestamp.ago(resource.importedAt),
                ])
            }
            return session.rendered(table)
        }
    }

    func show(_ subject: String) throws {
        let folder = try folder(of: subject)
        let file = try RouterFile(folder: folder)
        let resource = subject.contains("/") ? nil : try? session.bank().resource(.router, named: subject)
        let states = try file.experts.map { ($0, try expertState($0)) }
        var members = try resource.map(row) ?? [.init("name", .null), .init("folder", .string(folder))]
        members.append(.init("configuration", file.document["configuration"] ?? .null))
        members.append(.init("metrics", file.document["metrics"] ?? .null))
        members.append(
            .init(
                "experts",
                .array(
                    states.map { record, state in
                        .object([
                            .init("id", .string(record.id)), .init("sha256", .string(record.sha256)),
                            .init("reference", .string(record.reference)), .init("object", .optional(record.object)),
                            .init("task", .optional(record.task)), .init("state", .string(state)),
                        ])
                    })))
        session.result(.document("router_show", [.init("router", .object(members))])) {
            var table = TerminalTable([.text("EXPERT"), .text("TASK"), .text("STATE"), .text("UPDATE")])
            for (record, state) in states {
                table.add([record.id, record.task ?? "–", state, String(record.sha256.prefix(12))])
            }
            let options = file.setup.router
            return "router \(session.shown(file.name)) \(file.identity.prefix(12)): \(options.kind.rawValue), scope "
                + "\(options.scope.rawValue), \(options.granularity.rawValue), \(file.setup.routing.mode.rawValue)\n"
                + session.rendered(table)
        }
    }

    private func row(_ resource: BankResource) throws -> [JSONValue.Member] {
        let file = try? RouterFile(folder: resource.folder)
        return [
            .init("name", .string(resource.name)), .init("id", .optional(file?.identity)),
            .init("folder", .string(resource.folder)), .init("digest", .string(resource.digest)),
            .init("state", .string(state(resource))),
            .init(
                "lineage",
                .array(
                    resource.parents.map {
                        .object([.init("reference", .string($0.reference)), .init("object", .string($0.object))])
                    })),
            .init("imported_at", .string(resource.importedAt)), .init("imported_by", .string(resource.importedBy)),
        ]
    }

    /// `usable`, or which expert stands in the way.
    private func state(_ resource: BankResource) -> String {
        for parent in resource.parents {
            guard let row = try? session.bank().row(for: parent.reference), row.object == parent.object else {
                return "refused: \(parent.reference) is gone"
            }
            if row.state == .revoked || row.state == .rejected {
                return "refused: \(parent.reference) is \(row.state.rawValue)"
            }
        }
        return "usable"
    }

    private func expertState(_ record: RouterFile.ExpertRecord) throws -> String {
        guard record.object != nil else { return "no adapter of a bank" }
        return (try? session.bank().row(for: record.reference))?.state.rawValue ?? "gone"
    }
}
