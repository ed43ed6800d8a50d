import Bank
import Diagnostics
import Governance
import Reports
import WeightFiles

/// `status` as JSON and as text.
enum StatusDocument {
    static func json(_ status: BankStatus) -> JSONValue {
        let states = ApprovalState.allCases.map { state in
            JSONValue.Member(state.rawValue, .integer(status.adaptersByState[state] ?? 0))
        }
        return .document(
            "status",
            [
                .init("folder", .string(status.folder)), .init("id", .string(status.id)),
                .init("version", .integer(status.version)), .init("policy", .string(status.policy.mode.rawValue)),
                .init("read_only", .bool(status.isReadOnly)), .init("adapters", .integer(status.adapters)),
                .init("names", .integer(status.names)), .init("states", .object(states)),
                .init("objects", .integer(status.objects)), .init("object_bytes", .integer(status.objectBytes)),
                .init("trash_bytes", .integer(status.trashBytes)),
                .init("catalogue_bytes", .integer(status.catalogueBytes)),
                .init("audit_rows", .integer(status.auditRows)),
            ])
    }

    static func text(_ status: BankStatus) -> String {
        let states = ApprovalState.allCases.compactMap { state in
            status.adaptersByState[state].flatMap { $0 > 0 ? "\($0) \(state.rawValue)" : nil }
        }
        let access = status.isReadOnly ? ", read-only" : ""
        return """
            bank       \(ForeignText.escaped(status.folder)) (format \(status.version), policy \(status.policy.mode.rawValue)\(access))
            id         \(status.id)
            adapters   \(status.adapters) under \(status.names) names\(states.isEmpty ? "" : ": " + states.joined(separator: ", "))
            objects    \(status.objects), \(Quantities.bytes(status.objectBytes)); trash \(Quantities.bytes(status.trashBytes))
            catalogue  \(Quantities.bytes(status.catalogueBytes)), \(status.auditRows) audit rows

            """
    }
}
