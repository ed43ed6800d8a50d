import ArgumentParser
import Diagnostics

/// Turns the argument parser's errors into ours: one sentence, a hint, exit status 2.
enum UsageText {
    static func failure(for error: any Error, command: String) -> Failure {
        var message = LoRABank.message(for: error)
        var hint = "\(command) --help begins with an example"
        if let range = message.range(of: " Did you mean ") {
            hint = "did you mean " + message[range.upperBound...]
            message = String(message[..<range.lowerBound])
        }
        while let last = message.last, ".\n ".contains(last) { message.removeLast() }
        message = message.split(separator: "\n").joined(separator: " ")
        return Failure(.usageBadArgument, message.prefix(1).lowercased() + message.dropFirst(), hint: hint)
    }
}
