import Foundation
import Reports

/// Times as RFC 3339 in UTC, and how long ago they were.
enum Timestamp {
    static func now() -> String { Date().formatted(.iso8601) }

    /// `3 days ago`; the text itself when it is no time.
    static func ago(_ text: String) -> String {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains("."))
        guard let date = try? style.parse(text) else { return text }
        return Quantities.ago(seconds: -date.timeIntervalSinceNow)
    }
}
