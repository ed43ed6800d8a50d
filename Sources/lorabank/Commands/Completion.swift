import ArgumentParser
import WeightFiles

struct Completion: BankCommand {
    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    static let configuration = CommandConfiguration(abstract: "Print a completion script for bash, zsh or fish.")
    static let examples = [
        "lorabank completion bash > ~/.local/share/bash-completion/completions/lorabank",
        "lorabank completion fish > ~/.config/fish/completions/lorabank.fish",
    ]

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let script = CompletionText.script(shell)
        session.result(
            .document("completion", [.init("shell", .string(shell.rawValue)), .init("script", .string(script))])
        ) {
            script
        }
    }
}
