import ArgumentParser

/// All commands: the source of `docs/commands.md`.
enum CommandReference {
    /// Every command with its path from the root, groups before their members.
    static var all: [[any ParsableCommand.Type]] { descend([LoRABank.self]) }

    private static func descend(_ path: [any ParsableCommand.Type]) -> [[any ParsableCommand.Type]] {
        [path] + path[path.count - 1].configuration.subcommands.flatMap { descend(path + [$0]) }
    }

    static var markdown: String {
        var text = """
            # Commands

            Generated with `lorabank help --markdown` from the definitions that the program itself uses; `--help` after any
            command shows the same. Global options may stand before or after the command. Results go to standard output, everything
            else to standard error; exit statuses are listed in [errors.md](errors.md).


            """
        for path in all {
            let name = path.map(CommandPath.name).joined(separator: " ")
            text += "## \(name)\n\n```\n\(HelpText(path).rendered(columns: 110))```\n\n"
        }
        return String(text.dropLast())
    }
}
