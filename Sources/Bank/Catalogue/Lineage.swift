import Diagnostics
import GRDB
import Governance

/// The table `lineage`: what was made from what.
enum Lineage {
    /// Parents in their order, then children by number.
    static func edges(of adapter: Int64, _ db: Database) throws -> [LineageEdge] {
        let parents = try Row.fetchAll(
            db,
            sql: """
                SELECT l.position, l.role, l.weight, l.parent_object,
                  \(AdapterRow.nameExpression) || '@' || a.version, a.state, a.removed_at IS NOT NULL
                FROM lineage l LEFT JOIN adapter a ON a.id = l.parent_id WHERE l.child_id = ? ORDER BY l.position
                """, arguments: [adapter])
        let children = try Row.fetchAll(
            db,
            sql: """
                SELECT l.position, l.role, l.weight, a.object,
                  \(AdapterRow.nameExpression) || '@' || a.version, a.state, a.removed_at IS NOT NULL
                FROM lineage l JOIN adapter a ON a.id = l.child_id WHERE l.parent_id = ?
                ORDER BY l.child_id, l.position
                """, arguments: [adapter])
        return parents.map { LineageEdge(.parent, $0) } + children.map { LineageEdge(.child, $0) }
    }

    /// Everything made from the given adapters, directly or not, without removed ones.
    static func descendants(of adapters: [Int64], _ db: Database) throws -> [AdapterRow] {
        let seeds = adapters.map(String.init).joined(separator: ",")
        return try AdapterRow.fetch(
            db,
            where: """
                a.id IN (
                  WITH RECURSIVE line(id) AS (
                    SELECT child_id FROM lineage WHERE parent_id IN (\(seeds))
                    UNION SELECT l.child_id FROM lineage l JOIN line ON l.parent_id = line.id)
                  SELECT id FROM line) AND a.id NOT IN (\(seeds))
                """)
    }

    static func insert(_ parents: [LineageParent], child: Int64, recipe: Int64?, _ db: Database) throws {
        for (position, parent) in parents.enumerated() {
            try db.execute(
                sql: """
                    INSERT INTO lineage (child_id, position, parent_id, parent_object, role, weight, recipe_id)
                    VALUES (?,?,?,?,?,?,?)
                    """,
                arguments: [
                    child, position, try number(of: parent, db), parent.object, parent.role, parent.weight, recipe,
                ])
        }
    }

    /// The catalogue row that a parent stands for; nil for one from outside.
    private static func number(of parent: LineageParent, _ db: Database) throws -> Int64? {
        if let reference = parent.reference {
            let row = try? ReferenceResolver(db: db).row(for: reference)
            if let row, row.object == parent.object { return row.id }
        }
        return try Int64.fetchOne(
            db, sql: "SELECT min(id) FROM adapter WHERE object = ? AND removed_at IS NULL", arguments: [parent.object])
    }
}

extension LineageEdge {
    fileprivate init(_ direction: Direction, _ row: Row) {
        self.init(
            direction: direction, position: row[0], role: row[1], weight: row[2], object: row[3], reference: row[4],
            state: (row[5] as String?).flatMap(ApprovalState.init(rawValue:)), removed: row[6] ?? false)
    }
}

/// The table `finding`.
enum Findings {
    static func of(_ adapter: Int64, _ db: Database) throws -> [Finding] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT code, level, place, details FROM finding WHERE adapter_id = ? ORDER BY rowid",
            arguments: [adapter])
        return rows.map {
            Finding(code: $0[0], level: FindingLevel(rawValue: $0[1] as String) ?? .error, place: $0[2], details: $0[3])
        }
    }

    /// The same code at the same place counts once.
    static func insert(_ findings: [Finding], adapter: Int64, _ db: Database) throws {
        for finding in findings {
            try db.cachedStatement(
                sql: "INSERT OR IGNORE INTO finding (adapter_id, code, level, place, details) VALUES (?,?,?,?,?)"
            ).execute(arguments: [
                adapter, finding.code, finding.level.rawValue, finding.place, finding.details,
            ])
        }
    }
}
