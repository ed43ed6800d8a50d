import ArgumentParser
import Bank

struct Rm: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take adapters out of the bank.",
        discussion: "`lorabank undo` brings them back until `lorabank gc --prune`.")
    static let examples = ["lorabank rm vit-cifar@2", "lorabank rm tag:set=old --yes"]

    @Argument(help: ArgumentHelp("The adapters.", valueName: "ref"))
    var references: [String]
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        if !dryRun.isOn {
            let rows = try references.flatMap { try session.bank().rows(for: $0) }
            let names = rows.prefix(5).map(\.reference).joined(separator: ", ") + (rows.count > 5 ? ", …" : "")
            guard try session.confirm("Remove \(rows.count) adapters (\(names))?") else { return }
        }
        try session.change("rm", references, dryRun: dryRun.isOn, verb: "removed", infinitive: "remove") {
            bank, reference, batch in
            try bank.remove(reference, batch: batch)
        }
    }
}
