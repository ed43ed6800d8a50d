import Diagnostics
import Foundation
import GRDB
import Governance

/// Everything that the catalogue is told about a new adapter.
struct AdapterEntry {
    var namespace: String
    var name: String
    /// `import`, `merge`, `trained-here`.
    var source: String
    var origin: String?
    var tags: [Tag] = []
    var parents: [LineageParent] = []
    var recipe: RecipeRecord?
    var title: String?
    var description: String?
    var batch: String?
    var object = ""
    var objectBytes = 0
    var manifest: ObjectManifest?
    var findings: [Finding] = []
    var modules: [ModuleStatistics] = []
    var card = ModelCard(nil)

    init(namespace: String, name: String, source: String) {
        self.namespace = namespace
        self.name = name
        self.source = source
    }

    var fullName: String { namespace == AdapterName.localNamespace ? name : namespace + "/" + name }
}

extension Bank {
    /// Enters an adapter whose object is in its place: the last step of an import.
    ///
    /// - Parameters:
    ///   - archive: the archive in the workspace, in case somebody discarded the object meanwhile.
    ///   - isNewObject: whether this import brought the object.
    func enter(_ entry: AdapterEntry, archive: String, isNewObject: Bool) throws -> ImportOutcome {
        try change(batch: entry.batch) { change in
            if try !store.bringBack(entry.object) { _ = try store.place(archive, as: entry.object) }
            let same = try AdapterRow.fetch(
                change.db, where: "a.namespace = ? AND a.name = ? AND a.object = ?",
                [entry.namespace, entry.name, entry.object]
            ).last
            if let same {
                try change.addTags(entry.tags, to: same)
                return try change.outcome(same.id, alreadyPresent: true)
            }
            let id = try change.insert(entry, state: policy.initialState(source: entry.source))
            return try change.outcome(id, alreadyPresent: !isNewObject)
        }
    }

    /// Frobenius norms of the modules of the newest adapters with this base and rank, by module name. Two hundred
    /// adapters say as much about what is usual as thousands.
    func peerNorms(base: String, rank: Int) throws -> [String: [Double]] {
        try catalogue.read { db in
            let cursor = try Row.fetchCursor(
                db,
                sql: """
                    SELECT name, fro FROM module WHERE fro IS NOT NULL AND adapter_id IN (
                      SELECT a.id FROM adapter a JOIN base_model b ON b.id = a.base_id
                      WHERE b.name = ? AND a.rank_max = ? AND a.removed_at IS NULL ORDER BY a.id DESC LIMIT 200)
                    """, arguments: [base, rank])
            var norms: [String: [Double]] = [:]
            while let row = try cursor.next() { norms[row[0], default: []].append(row[1]) }
            return norms
        }
    }
}

extension CatalogueChange {
    /// Inserts an adapter with everything that belongs to it; returns its number.
    func insert(_ entry: AdapterEntry, state: ApprovalState) throws -> Int64 {
        guard let manifest = entry.manifest else { throw Failure(.internalDefect, "an adapter without a manifest") }
        let version = try nextVersion(namespace: entry.namespace, name: entry.name)
        let run = try entry.recipe.map { try insertRun($0, object: entry.object) }
        try db.cachedStatement(
            sql: """
                INSERT INTO adapter (namespace, name, version, object, object_bytes, delta_id, kind, format, base_id,
                  rank_min, rank_max, modules, parameters, bytes, dtype, source, origin, state, title, description,
                  licence, author, created_at, created_by, run_id)
                VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
                """
        ).execute(arguments: [
            entry.namespace, entry.name, version, entry.object, entry.objectBytes, manifest.deltaID, manifest.kind,
            manifest.layout, try baseNumber(manifest), manifest.rankMin, manifest.rankMax, manifest.modules,
            manifest.parameters, manifest.files.reduce(0) { $0 + $1.size }, manifest.dtype, entry.source, entry.origin,
            state.rawValue, entry.title ?? entry.card.title, entry.description, entry.card.licence, entry.card.author,
            at, actor, run,
        ])
        let id = db.lastInsertedRowID
        try insertModules(entry.modules, adapter: id)
        try Findings.insert(entry.findings, adapter: id, db)
        try Lineage.insert(entry.parents, child: id, recipe: run, db)
        for tag in Set(entry.tags).sorted() {
            try db.cachedStatement(sql: "INSERT INTO tag (adapter_id, key, value) VALUES (?,?,?)")
                .execute(arguments: [id, tag.key, tag.value])
        }
        try SearchIndex.refresh(id, in: db)
        var details = ["object": entry.object, "state": state.rawValue, "source": entry.source]
        if let origin = entry.origin { details["origin"] = origin }
        if let recipe = entry.recipe { details["recipe_sha"] = recipe.recipeSHA }
        try record(
            entry.source == "import" ? "import" : entry.source, subject: "\(entry.fullName)@\(version)",
            details: details, undo: [.remove(adapter: id)])
        return id
    }

    func outcome(_ id: Int64, alreadyPresent: Bool) throws -> ImportOutcome {
        guard let row = try AdapterRow.fetch(db, id: id) else {
            throw Failure(.internalDefect, "an adapter vanished while it was entered")
        }
        let twins = try AdapterRow.fetch(
            db, where: "a.delta_id = ? AND a.object <> ?", [row.deltaID, row.object])
        return ImportOutcome(
            row: row, findings: try Findings.of(id, db), alreadyPresent: alreadyPresent,
            sameDelta: twins.map(\.reference))
    }

    /// Numbers of removed versions are not used again.
    private func nextVersion(namespace: String, name: String) throws -> Int {
        try Int.fetchOne(
            db, sql: "SELECT coalesce(max(version), 0) + 1 FROM adapter WHERE namespace = ? AND name = ?",
            arguments: [namespace, name]) ?? 1
    }

    private func baseNumber(_ manifest: ObjectManifest) throws -> Int64 {
        let key: StatementArguments = [manifest.base, manifest.revision]
        let found = try Int64.fetchOne(
            db, sql: "SELECT id FROM base_model WHERE name = ? AND revision = ?", arguments: key)
        if let found { return found }
        try db.execute(sql: "INSERT INTO base_model (name, revision) VALUES (?,?)", arguments: key)
        return db.lastInsertedRowID
    }

    private func insertRun(_ recipe: RecipeRecord, object: String) throws -> Int64 {
        try db.execute(
            sql: """
                INSERT INTO recipe_run
                  (recipe_sha, recipe, program, seed, threads, started_at, ended_at, status, result_object)
                VALUES (?,?,?,?,?,?,?,'done',?)
                """,
            arguments: [
                recipe.recipeSHA, recipe.recipe, recipe.program, recipe.seed.map { Int64(bitPattern: $0) },
                recipe.threads, recipe.startedAt, recipe.endedAt ?? at, object,
            ])
        return db.lastInsertedRowID
    }

    private func insertModules(_ modules: [ModuleStatistics], adapter: Int64) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO module
                  (adapter_id, name, kind, d_out, d_in, rank, scale, fro, sigma1, stable_rank, spectrum)
                VALUES (?,?,?,?,?,?,?,?,?,?,?)
                """)
        for module in modules {
            try statement.execute(arguments: [
                adapter, module.name, module.kind.rawValue, module.dOut, module.dIn, module.rank, module.scale,
                module.frobenius, module.sigma1, module.stableRank, Spectrum.data(module.singularValues),
            ])
        }
    }
}

/// Singular values as stored: 32-bit little-endian numbers, falling.
enum Spectrum {
    static func data(_ values: [Double]) -> Data {
        var data = Data(capacity: values.count * 4)
        for value in values {
            withUnsafeBytes(of: Float(value).bitPattern.littleEndian) { data.append(contentsOf: $0) }
        }
        return data
    }

    static func values(_ data: Data?) -> [Double] {
        guard let data else { return [] }
        return data.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { index in
                let bits = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
                return Double(Float(bitPattern: UInt32(littleEndian: bits)))
            }
        }
    }
}
