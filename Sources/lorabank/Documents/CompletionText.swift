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
        let script = LoRABank.completionScript(for: kind)
        return script.hasSuffix("\n") ? script : script + "\n"
    }
}
