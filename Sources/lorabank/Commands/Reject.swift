import ArgumentParser
import Bank

struct Reject: BankCommand {
    static let configuration = CommandConfiguration(abstract: "Reject pending adapters, or re-open rejected ones.")
    static let examples = [
        "lorabank reject bad --reason \"unknown origin\"", "lorabank reject bad --reopen --reason \"origin found\"",
    ]

    @Argument(help: ArgumentHelp("The adapters.", valueName: "ref"))
    var references: [String]
    @Option(help: "Why.")
    var reason: String
    @Flag(help: "Make rejected adapters pending again.")
    var reopen = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try session.change(
            "reject", references, dryRun: dryRun.isOn, verb: reopen ? "re-opened" : "rejected",
            infinitive: reopen ? "re-open" : "reject"
        ) { bank, reference, batch in
            if reopen { return try bank.reopen(reference, reason: reason, batch: batch) }
            return try bank.reject(reference, reason: reason, batch: batch)
        }
    }
}
