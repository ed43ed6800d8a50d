import ArgumentParser
import Bank

struct Revoke: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Withdraw the approval of adapters.",
        discussion: "What was made from them is listed; --cascade withdraws it as well. A revocation is final.")
    static let examples = ["lorabank revoke vit-cifar --reason \"poisoned data\" --cascade"]

    @Argument(help: ArgumentHelp("The adapters.", valueName: "ref"))
    var references: [String]
    @Option(help: "Why.")
    var reason: String
    @Flag(help: "Also revoke or reject everything made from them.")
    var cascade = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        try session.change("revoke", references, dryRun: dryRun.isOn, verb: "revoked", infinitive: "revoke") {
            bank, reference, batch in
            let outcome = try bank.revoke(reference, reason: reason, cascade: cascade, batch: batch)
            for row in outcome.descendants {
                session.warn("'\(row.reference)' (\(row.state.rawValue)) was made from '\(reference)'")
            }
            for row in outcome.changed {
                for router in (try? bank.routers(using: row.object)) ?? [] {
                    session.warn("router '\(router.name)' needs '\(row.reference)' and refuses to run from now on")
                }
            }
            return outcome.changed
        }
    }
}
