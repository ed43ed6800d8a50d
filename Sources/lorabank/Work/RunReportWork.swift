import Bank
import ContinualLearning
import Diagnostics
import Foundation
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

    /// Figures of a run's folder, of the table that a search left, or of what was measured on adapters of the bank.
    func figures(_ subject: String) throws -> [any Figure] {
        if subject.hasSuffix(".csv") { return try SearchTable(path: subject).figures }
        if FileManager.default.fileExists(atPath: subject) { return try page(subject).figures }
        return try metrics(subject)?.figures ?? page(subject).figures
    }

    /// - Parameter subject: references with commas between them.
    /// - Returns: nil when there is no bank: then it can only be a path.
    private func metrics(_ subject: String) throws -> AdapterMetrics? {
        do {
            let bank = try session.bank()
            let rows = try subject.split(separator: ",").flatMap { try bank.rows(for: String($0)) }
            let metrics = AdapterMetrics(
                try rows.map { .init(name: $0.reference, metrics: try bank.metrics(of: $0.reference)) })
            guard !metrics.sources.isEmpty else {
                throw Failure(
                    .ioNotFound, "nothing was measured on '\(subject)'",
                    hint: "`lorabank eval \(subject) --suite FILE` measures and keeps it")
            }
            return metrics
        } catch let failure as Failure where failure.code == .bankMissing && session.settings.bank.value == nil {
            return nil
        }
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
