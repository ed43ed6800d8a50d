import ArgumentParser
import Bank
import Reports
import WeightFiles

struct Gc: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove what no adapter needs any more.",
        discussion: """
            Objects that no adapter refers to move to trash/ after an hour, and the folders of dead processes are \
            removed. --prune empties the trash: removals made before cannot be undone afterwards.
            """)
    static let examples = ["lorabank gc", "lorabank gc --prune --yes"]

    @Flag(help: "Also delete what lies in trash/ for good.")
    var prune = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        if prune, !dryRun.isOn {
            guard try session.confirm("Delete the removed adapters in trash/ for good?") else { return }
        }
        let report = try session.bank(writing: !dryRun.isOn).collectGarbage(prune: prune, dryRun: dryRun.isOn)
        session.result(
            .document(
                "gc",
                [
                    .init("objects", .integer(report.objects)), .init("workspaces", .integer(report.workspaces)),
                    .init("pruned", .integer(report.pruned)), .init("bytes", .integer(report.bytes)),
                    .init("dry_run", .bool(dryRun.isOn)),
                ])
        ) {
            "\(dryRun.isOn ? "would remove" : "removed") \(report.objects) objects and \(report.workspaces) workspaces, "
                + "\(dryRun.isOn ? "would delete" : "deleted") \(report.pruned) from the trash: "
                + "\(Quantities.bytes(report.bytes))\n"
        }
    }
}
