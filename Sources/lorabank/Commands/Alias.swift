import ArgumentParser
import Bank
import Diagnostics

struct Alias: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let name:alias mean a version.",
        discussion: "An alias that exists moves. --remove takes name:alias and drops it.")
    static let examples = ["lorabank alias vit-cifar@3 stable", "lorabank alias --remove vit-cifar:stable"]

    @Argument(help: ArgumentHelp("The adapter, or name:alias with --remove.", valueName: "ref"))
    var reference: String
    @Argument(help: "The alias.")
    var alias: String?
    @Flag(help: "Remove the alias.")
    var remove = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if remove == (alias != nil) { throw ValidationError("give an alias, or --remove with name:alias") }
    }

    func run(in session: Session) throws {
        try session.change("alias", [reference], dryRun: dryRun.isOn, verb: "aliased", infinitive: "alias") {
            bank, reference, batch in
            if let alias { return [try bank.alias(reference, alias, batch: batch)] }
            return [try bank.unalias(reference, batch: batch)]
        }
    }
}
