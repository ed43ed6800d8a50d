import ArgumentParser

/// Completion scripts, generated from the definitions of the commands.
enum CompletionText {
    static func script(_ shell: Completion.Shell) -> String {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        // The argument parser adds a `help` of its own beside ours; one line is enough.
        let lines = LoRABank.completionScript(for: kind).split(separator: "\n", omittingEmptySubsequences: false)
        let script = lines.filter { !$0.contains("Show subcommand help information.") }.joined(separator: "\n")
        return script.hasSuffix("\n") ? script : script + "\n"
    }
}
