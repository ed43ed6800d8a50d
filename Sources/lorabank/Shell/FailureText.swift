import Diagnostics
import WeightFiles

/// An error as people read it and as programs read it (`lorabank.error/1`).
struct FailureText {
    let failure: Failure
    let colours: Colours

    init(_ failure: Failure, colours: Colours) {
        self.failure = failure
        self.colours = colours
    }

    func rendered(asJSON: Bool) -> String { asJSON ? json.text() + "\n" : text }

    /// `error[code]: what`, then place, file and hint, one per line.
    var text: String {
        var lines = [colours.red("error[\(failure.code.name)]") + ": " + ForeignText.escaped(failure.message)]
        if let place = failure.place, !place.isEmpty { lines.append("  at   " + ForeignText.escaped(place)) }
        if let path = failure.path, !path.isEmpty { lines.append("  file " + ForeignText.escaped(path)) }
        if let hint = failure.hint { lines.append("  hint: " + ForeignText.escaped(hint)) }
        return lines.joined(separator: "\n") + "\n"
    }

    var json: JSONValue {
        var details = failure.details
        if let place = failure.place { details["place"] = place }
        return .object([
            .init("schema", .string("lorabank.error/1")),
            .init(
                "error",
                .object([
                    .init("code", .string(failure.code.name)),
                    .init("class", .string(failure.code.errorClass.name)),
                    .init("exit", .integer(Int(failure.code.exitStatus))),
                    .init("message", .string(failure.message)),
                    .init("path", .optional(failure.path)),
                    .init(
                        "details",
                        .object(details.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) })),
                    .init("hint", .optional(failure.hint)),
                ])),
        ])
    }
}
