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

    /// Backslashes, hyphens that are options, and lines that begin like a request.
    private static func escaped(_ text: String) -> String {
        var lines: [String] = []
        for line in text.replacing("\\", with: "\\e").replacing("-", with: "\\-").split(
            separator: "\n", omittingEmptySubsequences: false)
        {
            lines.append(line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" + line : String(line))
        }
        return lines.joined(separator: "\n")
    }
}
