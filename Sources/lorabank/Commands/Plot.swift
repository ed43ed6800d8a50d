import ArgumentParser
import Diagnostics
import Reports
import WeightFiles

struct Plot: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "plot",
        abstract: "Write one figure of a run, of a search or of measured adapters as SVG, CSV or Vega-Lite.",
        discussion: """
            Takes a run directory, the table of `recipe search --table`, or adapters of the bank (references with commas \
            between them): then what `eval` measured on them. Without a figure, lists what there is.
            """)
    static let examples = [
        "lorabank plot runs/chain", "lorabank plot runs/chain accuracy-matrix --to matrix.svg",
        "lorabank plot runs/chain accuracy-matrix --format vega-lite --to -",
        "lorabank plot search.csv search --to search.svg",
        "lorabank plot tag:set=digits acc-global-on-mnist-vit-test --to accuracy.svg",
    ]

    @Argument(
        help: ArgumentHelp("The run directory, a search's table, or adapters.", valueName: "subject"),
        completion: .file())
    var subject: String
    @Argument(help: ArgumentHelp("Name of the figure.", valueName: "figure"))
    var figure: String?
    @Option(help: ArgumentHelp("svg, csv or vega-lite.", valueName: "form"))
    var format = FigureFormat.svg
    @Option(help: ArgumentHelp("File to write, - for standard output.", valueName: "path"))
    var to = "-"
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @OptionGroup var dryRun: DryRun
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = RunReportWork(session: session)
        guard let figure else {
            let names = try work.figures(subject).map(\.fileName)
            session.result(.document("plot", [.init("figures", .texts(names))])) {
                names.map { $0 + "\n" }.joined()
            }
            return
        }
        let text = format.text(of: try work.figure(figure, of: subject))
        if to != "-", !dryRun.isOn { try AtomicFile.write(Array(text.utf8), to: to, overwrite: force) }
        session.result(
            .document(
                "plot",
                [
                    .init("figure", .string(figure)), .init("format", .string(format.rawValue)),
                    .init("path", to == "-" ? .null : .string(to)),
                    .init("text", to == "-" ? .string(text) : .null), .init("dry_run", .bool(dryRun.isOn)),
                ])
        ) {
            to == "-" ? text : "\(dryRun.isOn ? "would write" : "wrote") \(session.shown(to))\n"
        }
    }
}

extension FigureFormat: ExpressibleByArgument {}
