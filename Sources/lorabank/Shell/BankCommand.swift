import ArgumentParser

/// A command whose help begins with examples.
protocol Documented {
    /// Whole command lines; the first is the one to learn from.
    static var examples: [String] { get }
}

/// A command that does something.
protocol BankCommand: ParsableCommand, Documented {
    var global: GlobalOptions { get }

    /// Does the work, reports through the session, and throws what ends it.
    func run(in session: Session) throws
}

/// `--dry-run`.
struct DryRun: ParsableArguments {
    @Flag(name: .customLong("dry-run"), help: "Do everything but write; say what would be done.")
    var isOn = false
}
