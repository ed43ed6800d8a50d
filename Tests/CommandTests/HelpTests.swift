import ArgumentParser
import Foundation
import Testing

@testable import lorabank

@Suite struct HelpTests {
    private static let commands = CommandReference.all.map { $0.dropFirst().map(CommandPath.name) }

    @Test(arguments: commands)
    func `help begins with an example that runs this very command`(command: [String]) throws {
        let scratch = try Scratch(bank: false)
        let outcome = try scratch.tool.run(command + ["--help"])
        #expect(outcome.status == 0)
        #expect(outcome.errors.isEmpty)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.first?.hasPrefix("EXAMPLE") == true)
        #expect(lines.dropFirst().first?.contains((["  lorabank"] + command).joined(separator: " ")) == true)
    }

    @Test func `every example parses`() throws {
        for path in CommandReference.all {
            let examples = try #require((path[path.count - 1] as? any Documented.Type)?.examples)
            #expect(!examples.isEmpty)
            for example in examples {
                let words = try Words.split(
                    example.components(separatedBy: CharacterSet(charactersIn: "|>;")).first ?? "")
                let rest = words.drop { $0.contains("=") && !$0.hasPrefix("-") }
                #expect(rest.first == "lorabank")
                let line = CommandPath(Array(rest.dropFirst()))
                #expect(throws: Never.self, "\(example)") { _ = try LoRABank.parseAsRoot(line.arguments) }
            }
        }
    }

    @Test func `the documents in docs are those of the program`() throws {
        let commands = try String(contentsOfFile: Tool.package + "/docs/commands.md", encoding: .utf8)
        #expect(commands == CommandReference.markdown, "docs/commands.md is out of date: run `make docs`")
        let errors = try String(contentsOfFile: Tool.package + "/docs/errors.md", encoding: .utf8)
        #expect(errors == ErrorReference.markdown, "docs/errors.md is out of date: run `make docs`")
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func `completion scripts know every command`(shell: String) throws {
        let scratch = try Scratch(bank: false)
        let script = try scratch.succeed("completion", shell).output
        for command in CommandReference.all.dropFirst() {
            #expect(script.contains(CommandPath.name(of: command[command.count - 1])), "\(shell): \(command)")
        }
        #expect(script.contains("--dry-run") || script.contains("dry-run"))
    }

    @Test func `the manual page has every command and option`() throws {
        let scratch = try Scratch(bank: false)
        let page = try scratch.succeed("help", "--man").output
        #expect(page.hasPrefix(".TH LORABANK 1"))
        for command in CommandReference.all {
            let name = command.map(CommandPath.name).joined(separator: " ").replacing("-", with: "\\-")
            #expect(page.contains(".SS \(name)\n"), "\(name)")
        }
        for option in ["bank", "dry\\-run", "set", "lock\\-timeout"] { #expect(page.contains("\\-\\-" + option)) }
    }

    @Test func `topics, commands and near misses`() throws {
        let scratch = try Scratch(bank: false)
        #expect(try scratch.succeed("help", "references").output.contains("id:1f3c"))
        #expect(try scratch.succeed("help", "audit", "verify").output.hasPrefix("EXAMPLES:\n  lorabank audit verify"))
        let wrong = try scratch.run("help", "refrences")
        #expect(wrong.status == 2)
        #expect(wrong.errors.contains("did you mean 'references'?"))
    }
}

/// Splits an example as a shell would, without expansions.
private enum Words {
    static func split(_ line: String) throws -> [String] {
        var words: [String] = []
        var word = ""
        var quote: Character?
        var isOpen = false
        for character in line {
            if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                isOpen = true
            } else if character == " " {
                if isOpen || !word.isEmpty { words.append(word) }
                word = ""
                isOpen = false
            } else {
                word.append(character)
            }
        }
        if isOpen || !word.isEmpty { words.append(word) }
        return words
    }
}
