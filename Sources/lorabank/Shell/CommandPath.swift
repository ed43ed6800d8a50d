import ArgumentParser
import Diagnostics

/// Finds the command in the arguments, before they are parsed: for help, for near misses, and so that global options
/// may stand in front of the command (`lorabank --bank b list` means `lorabank list --bank b`).
struct CommandPath {
    /// From the root to the command.
    let commands: [any ParsableCommand.Type]
    /// The arguments in the order that the parser wants.
    let arguments: [String]
    /// What follows the command's name.
    let rest: [String]

    init(_ arguments: [String]) {
        var front: [String] = []
        var index = 0
        while index < arguments.count, let length = GlobalOptions.length(of: arguments[index]) {
            let end = min(arguments.count, index + length)
            front += arguments[index..<end]
            index = end
        }
        var commands: [any ParsableCommand.Type] = [LoRABank.self]
        var words: [String] = []
        while index < arguments.count, let next = CommandPath.child(of: commands[commands.count - 1], arguments[index])
        {
            commands.append(next)
            words.append(arguments[index])
            index += 1
        }
        self.commands = commands
        rest = Array(arguments[index...])
        // Without a command there is nothing for the options to belong to: let the parser complain about them.
        self.arguments = words + (commands.count > 1 ? front : []) + rest
    }

    var command: any ParsableCommand.Type { commands[commands.count - 1] }

    /// `lorabank audit verify`.
    var name: String { commands.map(CommandPath.name).joined(separator: " ") }

    static func name(of command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? String(describing: command).lowercased()
    }

    /// Help when it was asked for, or when there is a group of commands and none was named.
    func requestedHelp() throws -> String? {
        let options = rest.prefix { $0 != "--" }
        if options.contains("--help") || options.contains("-h") { return HelpText(commands).rendered() }
        let isGroup = !command.configuration.subcommands.isEmpty && command.configuration.defaultSubcommand == nil
        return isGroup && rest.isEmpty ? HelpText(commands).rendered() : nil
    }

    /// - Throws: `usage.bad_argument` with near commands when a word stands where a command is expected.
    func checkWords() throws {
        let known = command.configuration.subcommands.map(CommandPath.name)
        guard !known.isEmpty, let word = rest.first, !word.hasPrefix("-") else { return }
        throw Failure(
            .usageBadArgument,
            "unknown command '\(commands.dropFirst().map { CommandPath.name(of: $0) + " " }.joined())\(word)'",
            hint: Spelling.hint(for: word, among: known) ?? "\(name) --help lists the commands")
    }

    private static func child(of command: any ParsableCommand.Type, _ word: String) -> (any ParsableCommand.Type)? {
        command.configuration.subcommands.first { name(of: $0) == word || $0.configuration.aliases.contains(word) }
    }
}
