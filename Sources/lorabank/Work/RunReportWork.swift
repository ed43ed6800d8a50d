import ContinualLearning
import Diagnostics
import Reports
import WeightFiles

/// `cil report` and `plot`: files about a run.
struct RunReportWork {
    let session: Session

    func page(_ folder: String) throws -> HTMLPage {
        RunReport(runs: try RunRecord.all(in: folder), folder: folder).page
    }

    /// Writes `report.html`, `report.md` and below `figures/` each figure as SVG, CSV and Vega-Lite.
    ///
    /// - Returns: the files.
    func write(_ page: HTMLPage, to folder: String) throws -> [String] {
        try DurableFiles.createFolders(folder + "/figures")
        var written: [String] = []
        func write(_ text: String, _ name: String) throws {
            try AtomicFile.write(Array(text.utf8), to: "\(folder)/\(name)", overwrite: true)
            written.append("\(folder)/\(name)")
        }
        for figure in page.figures {
            for format in FigureFormat.allCases {
                try write(format.text(of: figure), "figures/\(figure.fileName).\(format.fileExtension)")
            }
        }
        try write(MarkdownPage(page).text, "report.md")
        try write(page.html, "report.html")
        return written
    }

    /// Figures of a run's folder, or of the table that a search left.
    func figures(_ path: String) throws -> [any Figure] {
        path.hasSuffix(".csv") ? try SearchTable(path: path).figures : try page(path).figures
    }

    /// - Throws: `io.not_found` with the nearest names for a figure that is not there.
    func figure(_ name: String, of folder: String) throws -> any Figure {
        let figures = try figures(folder)
        guard let figure = figures.first(where: { $0.fileName == name }) else {
            let known = figures.map(\.fileName)
            throw Failure(
                .ioNotFound, "there is no figure '\(name)'", path: folder,
                hint: Spelling.hint(for: name, among: known) ?? "one of \(known.joined(separator: ", "))")
        }
        return figure
    }
}

/// Forms in which a figure is written.
enum FigureFormat: String, CaseIterable {
    case svg, csv
    case vegaLite = "vega-lite"

    var fileExtension: String { self == .vegaLite ? "vl.json" : rawValue }

    func text(of figure: any Figure) -> String {
        switch self {
        case .svg: figure.svg
        case .csv: figure.table.csv
        case .vegaLite: figure.vegaLite
        }
    }
}
