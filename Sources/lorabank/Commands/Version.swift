import ArgumentParser
import WeightFiles

struct Version: BankCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")
    static let examples = ["lorabank version"]

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        session.result(
            .document("version", [.init("version", .string(LoRABank.version)), .init("bank_format", .integer(1))])
        ) { "lorabank \(LoRABank.version)\n" }
    }
}
