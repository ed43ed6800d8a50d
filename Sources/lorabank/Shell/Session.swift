import Adapters
import Bank
import Diagnostics
import Foundation
import Reports
import WeightFiles

/// What a running command needs: the bank, the streams, progress, and the status it will end with.
final class Session {
    let options: GlobalOptions
    let environment: [String: String]
    let settings: RunSettings
    let colours: Colours
    let progress: any Diagnostics.ProgressReporting
    let threads: Int
    /// Exit status so far: that of the worst failure reported.
    private(set) var status: Int32 = 0
    private let line: ProgressLine?
    private let log: MessageLog?
    private let errorColours: Colours
    private var opened: Bank?

    /// - Throws: `usage.bad_argument` for impossible option values, `io.*` for the log file.
    init(_ options: GlobalOptions) throws {
        self.options = options
        environment = ProcessInfo.processInfo.environment
        settings = try RunSettings(options, environment: environment)
        colours = Colours(settings.color.value, stream: .output, environment: environment)
        errorColours = Colours(settings.color.value, stream: .error, environment: environment)
        threads = settings.threads.value
        log = try options.logFile.map(MessageLog.init)
        line = Session.progressLine(options, settings.progress.value)
        progress = line ?? SilentProgress()
    }

    private static func progressLine(_ options: GlobalOptions, _ progress: GlobalOptions.Progress) -> ProgressLine? {
        if options.quiet || options.noProgress || progress == .none { return nil }
        let style: ProgressLine.Style =
            if progress == .json { .json } else if let width = StandardStream.error.width {
                .terminal(width: width)
            } else { .lines }
        return ProgressLine(
            style, now: { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 },
            write: { StandardStream.error.write($0) })
    }

    // MARK: The bank

    /// The bank, opened once.
    func bank(writing: Bool = false) throws -> Bank {
        if let opened, !writing || !opened.isReadOnly { return opened }
        let folder = try bankFolder()
        let bank = try Bank.open(
            folder, access: writing ? .readWrite : .automatic, lockTimeout: settings.lockTimeout.value)
        opened = bank
        return bank
    }

    /// - Throws: `bank.missing`.
    func bankFolder() throws -> String {
        try Bank.locate(
            explicit: settings.bank.value, environment: environment,
            workingFolder: FileManager.default.currentDirectoryPath)
    }

    /// Where operands come from: the bank when one is found or named, else paths only.
    func library(allowUnapproved: Bool = false) throws -> any AdapterLibrary {
        do {
            return BankLibrary(try bank(), allowUnapproved: allowUnapproved)
        } catch let failure as Failure where failure.code == .bankMissing && settings.bank.value == nil {
            return PathLibrary()
        }
    }

    // MARK: Output

    /// Prints the result: the document with `--json`, else the text.
    func result(_ document: @autoclosure () -> JSONValue, text: () -> String) {
        line?.hide()
        if options.json {
            StandardStream.output.write(
                document().text(StandardStream.output.isTerminal ? .indented(2) : .compact) + "\n")
        } else {
            StandardStream.output.write(text())
        }
    }

    /// A table in the width of the terminal.
    func rendered(_ table: TerminalTable) -> String {
        table.rendered(width: StandardStream.output.width, emphasis: colours.bold)
    }

    /// A remark on stderr, not with `--quiet`.
    func note(_ text: String) {
        log?.add(level: "info", text)
        guard !options.quiet else { return }
        line?.hide()
        StandardStream.error.write("note: " + ForeignText.escaped(text) + "\n")
    }

    /// A remark that only `-v` shows.
    func explain(_ text: @autoclosure () -> String) {
        if options.verbosity > 0 { note(text()) }
    }

    func warn(_ text: String) {
        log?.add(level: "warning", text)
        guard !options.quiet else { return }
        line?.hide()
        StandardStream.error.write(errorColours.yellow("warning") + ": " + ForeignText.escaped(text) + "\n")
    }

    /// Prints an error and remembers its status; the command may go on.
    func report(_ failure: Failure) {
        log?.add(level: "error", failure.message, code: failure.code.name)
        line?.hide()
        StandardStream.error.write(FailureText(failure, colours: errorColours).rendered(asJSON: options.json))
        if options.verbosity > 1, !options.json {
            for (key, value) in failure.details.sorted(by: { $0.key < $1.key }) {
                StandardStream.error.write("  \(key) = \(ForeignText.escaped(value))\n")
            }
        }
        status = ExitStatus.worse(status, failure.code.exitStatus)
    }

    /// Lets a command end with a status without an error message.
    func endWith(_ status: Int32) { self.status = ExitStatus.worse(self.status, status) }

    /// Puts everything down that was in use.
    func finish() {
        progress.end()
        // The work is done and durable; what cannot be folded in now is folded in by the next command.
        try? opened?.close()
    }

    // MARK: Input

    /// The whole standard input as text, for `-` in the place of a file.
    func standardInput() -> String { String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self) }

    // MARK: Questions

    /// Asks before something is destroyed.
    ///
    /// - Throws: `usage.needs_answer` when nobody can be asked.
    func confirm(_ question: String) throws -> Bool {
        if options.yes { return true }
        guard isatty(0) == 1 else {
            throw Failure(
                .usageNeedsAnswer, "\(question) — nobody can answer: standard input is no terminal", hint: "add --yes")
        }
        line?.hide()
        StandardStream.error.write(ForeignText.escaped(question) + " [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        return answer == "y" || answer == "yes"
    }
}
