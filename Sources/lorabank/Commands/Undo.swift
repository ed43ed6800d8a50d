import ArgumentParser
import Bank
import Reports
import WeightFiles

struct Undo: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Revert the last change to the bank.",
        discussion: "Takes back the newest import, removal, tag, note, alias or decision that was not reverted yet.")
    static let examples = ["lorabank undo"]

    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let undone = dryRun.isOn ? try session.bank().undoable() : try session.bank(writing: true).undo()
        session.result(
            .document(
                "undo",
                [
                    .init(
                        "undone",
                        .array(
                            undone.map {
                                .object([
                                    .init("action", .string($0.action)), .init("subject", .string($0.subject)),
                                    .init("at", .string($0.at)),
                                ])
                            })), .init("dry_run", .bool(dryRun.isOn)),
                ])
        ) {
            if undone.isEmpty { return "nothing to undo\n" }
            return undone.map {
                "\(dryRun.isOn ? "would revert" : "reverted") \($0.action) of \(session.shown($0.subject)) (\(Timestamp.ago($0.at)))\n"
            }
            .joined()
        }
    }
}
