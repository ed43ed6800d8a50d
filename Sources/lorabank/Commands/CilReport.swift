import ArgumentParser
import Reports

struct CilReport: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write the page of a run: report.html, report.md, figures.",
        discussion: """
            Reads the files of the run directory and trains nothing; a run with several seeds gets one page. The page is \
            one file without any outside part. Each figure is also written below figures/ as SVG, CSV and Vega-Lite.
            """)
    static let examples = ["lorabank cil report runs/chain", "lorabank cil report runs/chain --to pages/chain"]

    @Argument(help: ArgumentHelp("The run directory.", valueName: "dir"), completion: .directory)
    var folder: String
    @Option(help: ArgumentHelp("Folder to write into. (default: the run directory)", valueName: "path"))
    var to: String?
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = RunReportWork(session: session)
        let page = try work.page(folder)
        let target = to ?? folder
        let files = dryRun.isOn ? [] : try work.write(page, to: target)
        session.result(
            .document(
                "cil-report",
                [
                    .init("path", .string(target + "/report.html")), .init("files", .texts(files)),
                    .init("figures", .texts(page.figures.map(\.fileName))), .init("dry_run", .bool(dryRun.isOn)),
                ])
        ) {
            "\(dryRun.isOn ? "would write" : "wrote") \(session.shown(target))/report.html and "
                + "\(page.figures.count) figures\n"
        }
    }
}
