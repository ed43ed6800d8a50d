import Foundation
import GRDB
import Governance

extension AdapterRow {
    /// A name as users write it, as an SQL expression over `a`.
    static let nameExpression = "CASE a.namespace WHEN 'local' THEN a.name ELSE a.namespace || '/' || a.name END"

    /// Rows that are not removed and fit `condition`, an SQL expression over `a` (adapter) and `b` (base_model).
    static func fetch(
        _ db: Database, where condition: String = "1", _ arguments: StatementArguments = [],
        order: String = "\(nameExpression), a.version"
    ) throws -> [AdapterRow] {
        try fetch(db, condition: "a.removed_at IS NULL AND (\(condition))", arguments, order: order)
    }

    /// The row with this number, removed or not.
    static func fetch(_ db: Database, id: Int64) throws -> AdapterRow? {
        try fetch(db, condition: "a.id = ?", [id], order: "a.id").first
    }

    private static func fetch(
        _ db: Database, condition: String, _ arguments: StatementArguments, order: String
    ) throws -> [AdapterRow] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT a.id, a.namespace, a.name, a.version, a.object, a.delta_id, a.kind, a.format, a.source, a.origin,
                  a.state, b.name, b.revision, a.rank_min, a.rank_max, a.modules, a.parameters, a.bytes, a.dtype,
                  a.created_at, a.created_by, a.title, a.description, a.licence, a.author
                FROM adapter a JOIN base_model b ON b.id = a.base_id
                WHERE \(condition) ORDER BY \(order)
                """)
        var rows: [AdapterRow] = []
        let cursor = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try cursor.next() { rows.append(AdapterRow(row)) }
        try attachTags(to: &rows, db)
        return rows
    }

    private init(_ row: Row) {
        id = row[0]
        namespace = row[1]
        shortName = row[2]
        version = row[3]
        object = row[4]
        deltaID = row[5]
        kind = row[6]
        format = row[7]
        source = row[8]
        origin = row[9]
        state = ApprovalState(rawValue: row[10] as String) ?? .pending
        baseModel = row[11]
        baseRevision = row[12]
        rankMin = row[13]
        rankMax = row[14]
        modules = row[15]
        parameters = row[16]
        bytes = row[17]
        dtype = row[18]
        tags = [:]
        createdAt = row[19]
        createdBy = row[20]
        title = row[21]
        description = row[22]
        licence = row[23]
        author = row[24]
    }

    /// One query per row for a few rows, one for the whole table otherwise.
    private static func attachTags(to rows: inout [AdapterRow], _ db: Database) throws {
        if rows.count <= 32 {
            let statement = try db.cachedStatement(
                sql: "SELECT key, value FROM tag WHERE adapter_id = ? ORDER BY key, value")
            for index in rows.indices {
                let cursor = try Row.fetchCursor(statement, arguments: [rows[index].id])
                while let row = try cursor.next() { rows[index].tags[row[0], default: []].append(row[1]) }
            }
            return
        }
        let places = Dictionary(uniqueKeysWithValues: rows.indices.map { (rows[$0].id, $0) })
        let cursor = try Row.fetchCursor(
            db.cachedStatement(sql: "SELECT adapter_id, key, value FROM tag ORDER BY adapter_id, key, value"))
        while let row = try cursor.next() {
            guard let index = places[row[0]] else { continue }
            rows[index].tags[row[1], default: []].append(row[2])
        }
    }
}
