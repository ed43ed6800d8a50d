import ArgumentParser

/// The manual page `lorabank(1)`, from the definitions of the commands.
enum ManualPage {
    static var text: String {
        var text = ".TH LORABANK 1 \"\" \"lorabank \(LoRABank.version)\" \"User Commands\"\n.SH NAME\n"
        text += "lorabank \\- \(escaped(LoRABank.configuration.abstract))\n.SH SYNOPSIS\n"
        text += ".B lorabank\n[global options] command [arguments] [options]\n.SH DESCRIPTION\n"
        text += escaped(LoRABank.configuration.discussion) + "\n.SH COMMANDS\n"
        for path in CommandReference.all {
            let name = path.map(CommandPath.name).joined(separator: " ")
            text += ".SS \(escaped(name))\n.nf\n\(escaped(HelpText(path).rendered(columns: 78))).fi\n"
        }
        text += ".SH EXIT STATUS\n.nf\n\(escaped(HelpTopic.page("status") ?? "")).fi\n"
        text += ".SH ENVIRONMENT AND FILES\n.nf\n\(escaped(HelpTopic.page("settings") ?? "")).fi\n"
        return text
    }

    /// Backslashes, hyphens that are options, characters beyond ASCII, and lines that begin like a request.
    private static func escaped(_ text: String) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": plain += "\\e"
            case "-": plain += "\\-"
            case _ where scalar.isASCII: plain.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                plain += "\\[u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "]"
            }
        }
        return plain.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" + line : String(line)
        }.joined(separator: "\n")
    }
}
