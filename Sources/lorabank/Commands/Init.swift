import ArgumentParser
import Bank
import Governance
import WeightFiles

extension PolicyMode: ExpressibleByArgument {}

struct Init: BankCommand {
    static let configuration = CommandConfiguration(abstract: "Make an empty bank.")
    static let examples = ["lorabank init bank", "lorabank init bank --policy strict"]

    @Argument(help: ArgumentHelp("Folder of the bank.", valueName: "dir"), completion: .directory)
    var folder: String?
    @Option(help: "open: pending adapters may be used; strict: only approved ones.")
    var policy = PolicyMode.open
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let folder = folder ?? global.bank ?? "bank"
        let id = dryRun.isOn ? nil : try Bank.create(at: folder, policy: policy).id
        session.result(
            .document(
                "init",
                [
                    .init("folder", .string(folder)), .init("id", .optional(id)),
                    .init("policy", .string(policy.rawValue)), .init("dry_run", .bool(dryRun.isOn)),
                ])
        ) { "\(dryRun.isOn ? "would make" : "made") a bank in \(session.shown(folder)) (policy \(policy.rawValue))\n" }
    }
}
