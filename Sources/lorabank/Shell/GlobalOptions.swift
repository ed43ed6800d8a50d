import ArgumentParser

/// The options that every command takes. They may also stand in front of the command.
struct GlobalOptions: ParsableArguments {
    enum Colour: String, ExpressibleByArgument, CaseIterable {
        case auto, always, never
    }

    enum Progress: String, ExpressibleByArgument, CaseIterable {
        case auto, json, none
    }

    @Option(help: ArgumentHelp("The bank's folder.", valueName: "dir"), completion: .directory)
    var bank: String?

    @Flag(help: "Print one JSON document; errors go to stderr as JSON.")
    var json = false

    @Flag(name: [.customShort("q"), .long], help: "Print results and errors only.")
    var quiet = false

    @Flag(name: [.customShort("v"), .customLong("verbose")], help: "Explain more; twice: trace.")
    var verbosity: Int

    @Option(help: "When to use colour: auto, always, never. (default: auto)")
    var color: Colour?

    @Option(help: "How to show progress: auto, json, none. (default: auto)")
    var progress: Progress?

    @Flag(name: .customLong("no-progress"), help: "Show no progress.")
    var noProgress = false

    @Flag(name: [.customShort("y"), .customLong("yes")], help: "Answer questions with yes.")
    var yes = false

    @Option(
        help: ArgumentHelp("Worker threads; results do not depend on it. (default: all processors)", valueName: "n"))
    var threads: Int?

    @Option(
        name: .customLong("lock-timeout"),
        help: ArgumentHelp("Seconds to wait for other writers. (default: 10)", valueName: "s"))
    var lockTimeout: Double?

    @Option(
        name: .customLong("log-file"), help: ArgumentHelp("Append messages as JSON lines.", valueName: "path"),
        completion: .file())
    var logFile: String?

    /// How many arguments a global option at this place takes, itself included; nil for anything else.
    static func length(of argument: String) -> Int? {
        let valued = ["--bank", "--color", "--progress", "--threads", "--lock-timeout", "--log-file"]
        let flags = ["--json", "--quiet", "-q", "--verbose", "-v", "-vv", "--no-progress", "--yes", "-y"]
        if valued.contains(argument) { return 2 }
        if flags.contains(argument) || valued.contains(where: { argument.hasPrefix($0 + "=") }) { return 1 }
        return nil
    }
}
