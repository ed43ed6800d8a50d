import Diagnostics

/// A finding on one line.
enum FindingText {
    static func line(_ finding: Finding, colours: Colours) -> String {
        let level =
            finding.level == .info
            ? "info" : finding.level == .warning ? colours.yellow("warning") : colours.red("error")
        var text = "  \(level) \(ForeignText.escaped(finding.code))"
        if !finding.place.isEmpty { text += " at " + ForeignText.escaped(finding.place) }
        if let details = finding.details { text += ": " + ForeignText.escaped(details) }
        return text + "\n"
    }
}
