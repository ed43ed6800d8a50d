import ArgumentParser
import Reports
import WeightFiles

struct ReportCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write a page about adapters: tables, figures, provenance.",
        discussion: "One HTML file without any outside part; the data stand in it as JSON.")
    static let examples = [
        "lorabank report --to report.html", "lorabank report tag:set=starter merged --to report.html",
    ]

    @Argument(help: ArgumentHelp("The adapters. (default: all of the bank)", valueName: "ref"))
    var references: [String] = []
    @Option(help: ArgumentHelp("File to write.", valueName: "path"), completion: .file(extensions: ["html"]))
    var to: String
    @Option(help: "Title of the page.")
    var title = "LoRABank report"
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let page = try ReportWork(session: session).page(references, title: title)
        let html = page.html
        if !dryRun.isOn { try AtomicFile.write(Array(html.utf8), to: to, overwrite: force) }
        session.result(
            .document(
                "report",
                [
                    .init("path", .string(to)), .init("bytes", .integer(html.utf8.count)),
                    .init("dry_run", .bool(dryRun.isOn)),
                ])
        ) {
            "\(dryRun.isOn ? "would write" : "wrote") \(session.shown(to)) (\(Quantities.bytes(html.utf8.count)))\n"
        }
    }
}
