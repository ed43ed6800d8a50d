import ArgumentParser
import Diagnostics
import Foundation

/// Runs one command line from its arguments to the exit status.
enum Program {
    static func run(_ arguments: [String]) -> Never {
        Interruption.install()
        let line = CommandPath(arguments)
        let wantsJSON = line.arguments.prefix { $0 != "--" }.contains("--json")
        do {
            if let help = try line.requestedHelp() {
                StandardStream.output.write(help)
                end(0)
            }
            var command = try parse(line)
            guard let task = command as? any BankCommand else {
                try command.run()
                end(0)
            }
            let session = try Session(task.global)
            do {
                try task.run(in: session)
            } catch {
                session.report(failure(from: error))
            }
            session.finish()
            end(session.status)
        } catch {
            let failure = failure(from: error)
            StandardStream.error.write(FailureText(failure, colours: .none).rendered(asJSON: wantsJSON))
            end(failure.code.exitStatus)
        }
    }

    /// Ends the process without running anything further.
    static func end(_ status: Int32) -> Never { exit(status) }

    private static func parse(_ line: CommandPath) throws -> any ParsableCommand {
        try line.checkWords()
        do {
            return try LoRABank.parseAsRoot(line.arguments)
        } catch {
            if LoRABank.exitCode(for: error) == .success {
                StandardStream.output.write(LoRABank.fullMessage(for: error) + "\n")
                end(0)
            }
            throw UsageText.failure(for: error, command: line.name)
        }
    }

    /// Every error as a `Failure`; what no module foresaw becomes `internal.defect`.
    static func failure(from error: any Error) -> Failure {
        // After an interruption, errors are about what it removed.
        if Interruption.isRequested { Interruption.endNow() }
        if let failure = error as? Failure { return failure }
        if let code = error as? ExitCode { end(code.rawValue) }
        return Failure(
            .internalDefect, "unexpected error: \(error)",
            hint: "this is a defect of lorabank: please report the command and this message")
    }
}
