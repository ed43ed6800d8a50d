import ArgumentParser

/// The help of one command: its examples first, then what the argument parser knows about it.
struct HelpText {
    /// From the root to the command.
    let commands: [any ParsableCommand.Type]

    init(_ commands: [any ParsableCommand.Type]) { self.commands = commands }

    func rendered(columns: Int? = nil) -> String {
        let command = commands[commands.count - 1]
        var text = ""
        if let examples = (command as? any Documented.Type)?.examples, !examples.isEmpty {
            text += examples.count == 1 ? "EXAMPLE:\n" : "EXAMPLES:\n"
            for example in examples { text += "  \(example)\n" }
            text += "\n"
        }
        let parsed = LoRABank.helpMessage(for: command, columns: columns ?? StandardStream.output.width ?? 100)
        var (own, global) = HelpText.split(parsed)
        if commands.count == 1 {
            global = HelpText.split(LoRABank.helpMessage(for: Status.self, columns: columns ?? 100)).global
        } else if !global.isEmpty {
            global = "Global options (lorabank --help): \(HelpText.globalNames)\n"
        }
        // The root's --version is inherited by every command; it needs no line in each.
        if commands.count > 1 {
            own = own.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("  --version ") }
                .joined(separator: "\n")
        }
        text += own
        if !text.hasSuffix("\n\n") { text += "\n" }
        return text + global
    }

    static let globalNames = "--bank, --json, -q, -v, --color, --progress, --yes, --threads, --log-file"

    /// Separates the section of global options, which is the same for all commands.
    private static func split(_ help: String) -> (own: String, global: String) {
        var own: [Substring] = []
        var global: [Substring] = []
        var inGlobal = false
        for line in help.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "GLOBAL OPTIONS:" {
                inGlobal = true
            } else if inGlobal, !line.isEmpty, !line.hasPrefix(" ") {
                inGlobal = false
            }
            if inGlobal { global.append(line) } else { own.append(line) }
        }
        while global.last?.isEmpty == true { global.removeLast() }
        while own.last?.isEmpty == true { own.removeLast() }
        return (own.joined(separator: "\n") + "\n", global.isEmpty ? "" : global.joined(separator: "\n") + "\n")
    }
}
