import Foundation
import GRDB
import Governance

extension ModuleFacts {
    /// Sorted by name.
    static func of(_ adapter: Int64, _ db: Database) throws -> [ModuleFacts] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT name, kind, d_out, d_in, rank, scale, fro, sigma1, stable_rank, spectrum FROM module
                WHERE adapter_id = ? ORDER BY name
                """, arguments: [adapter])
        return rows.map {
            ModuleFacts(
                name: $0[0], kind: $0[1], dOut: $0[2], dIn: $0[3], rank: $0[4], scale: $0[5], frobenius: $0[6],
                sigma1: $0[7], stableRank: $0[8], spectrum: Spectrum.values($0[9]))
        }
    }
}

extension Metric {
    /// Newest first.
    static func of(_ adapter: Int64, _ db: Database) throws -> [Metric] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT dataset, split, name, value, n, ci_low, ci_high, step, run, at FROM metric
                WHERE adapter_id = ? ORDER BY id DESC
                """, arguments: [adapter])
        return rows.map {
            Metric(
                dataset: $0[0], split: $0[1], name: $0[2], value: $0[3], n: $0[4], ciLow: $0[5], ciHigh: $0[6],
                step: $0[7], run: $0[8], at: $0[9])
        }
    }

    func insert(for adapter: Int64, at time: String, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO metric (adapter_id, dataset, split, name, value, n, ci_low, ci_high, step, run, at)
                VALUES (?,?,?,?,?,?,?,?,?,?,?)
                """
        ).execute(arguments: [
            adapter, dataset, split, name, value, n, ciLow, ciHigh, step, run, at.isEmpty ? time : at,
        ])
    }
}

extension Note {
    /// Oldest first.
    static func of(_ adapter: Int64, _ db: Database) throws -> [Note] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT text, actor, at FROM note WHERE adapter_id = ? ORDER BY id", arguments: [adapter])
        return rows.map { Note(text: $0[0], actor: $0[1], at: $0[2]) }
    }
}

extension DecisionRecord {
    /// Oldest first, without those that were undone.
    static func of(_ adapter: Int64, _ db: Database) throws -> [DecisionRecord] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT decision, actor, reason, at FROM approval WHERE adapter_id = ? AND undone = 0 ORDER BY id",
            arguments: [adapter])
        return rows.compactMap { row in
            guard let decision = ApprovalDecision(rawValue: row[0] as String) else { return nil }
            return DecisionRecord(decision: decision, actor: row[1], reason: row[2], at: row[3])
        }
    }
}

extension RecipeRecord {
    static func of(_ adapter: Int64, _ db: Database) throws -> RecipeRecord? {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT r.recipe, r.recipe_sha, r.program, r.seed, r.threads, r.started_at, r.ended_at
                FROM recipe_run r JOIN adapter a ON a.run_id = r.id WHERE a.id = ?
                """, arguments: [adapter])
        guard let row else { return nil }
        return RecipeRecord(
            recipe: row[0], recipeSHA: row[1], program: row[2],
            seed: (row[3] as Int64?).map { UInt64(bitPattern: $0) }, threads: row[4], startedAt: row[5],
            endedAt: row[6])
    }
}
