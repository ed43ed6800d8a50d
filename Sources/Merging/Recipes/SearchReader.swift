import Diagnostics
import Settings

/// Reads `search`.
enum SearchReader {
    static func search(_ fields: FieldReader) throws -> SearchSettings {
        try fields.refuseUnknown(known: ["over", "strategy", "evaluator", "budget"])
        guard let over = try fields.mapping("over"), !over.members.isEmpty else {
            throw Failure(
                .recipeBadParameter, "'search' needs 'over' with at least one setting",
                place: fields.place.description, hint: "over: { lambda: [0.1, 0.3, 1.0] }")
        }
        let dimensions = try over.members.map { member in
            guard let values = member.value.sequence, !values.isEmpty else {
                throw over.wrongType(member.key, expected: "a list of values to try", found: member.value)
            }
            _ = try SettingPath(member.key, at: member.keyPlace)
            return SearchSettings.Dimension(key: member.key, values: values, place: member.keyPlace)
        }
        return SearchSettings(
            over: dimensions.sorted { $0.key < $1.key },
            strategy: try fields.choice("strategy", of: SearchSettings.Strategy.self)?.value ?? .grid,
            evaluator: try fields.text("evaluator")?.value,
            budget: try fields.integer("budget", in: 1...Int.max)?.value, place: fields.place)
    }
}
