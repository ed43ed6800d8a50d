import Diagnostics
import Foundation
import WeightFiles

/// The files of one split in a described data folder.
enum DatasetFiles {
    enum Found: Equatable {
        case idx(images: String, labels: String)
        case tabSeparated(String)
        case commaSeparated(String)
        case npz(String)
    }

    /// The files of split `name` (`train`, `val`, `test`, `t10k`), nil when there are none.
    static func find(_ name: String, in folder: String) -> Found? {
        let files = FileManager.default
        let images =
            ["", ".gz"].map { "\(folder)/\(name)-images-idx3-ubyte\($0)" }
            + ["", ".gz"].map { "\(folder)/\(name)-images-idx4-ubyte\($0)" }
        let labels = ["", ".gz"].map { "\(folder)/\(name)-labels-idx1-ubyte\($0)" }
        if let image = images.first(where: files.fileExists), let label = labels.first(where: files.fileExists) {
            return .idx(images: image, labels: label)
        }
        let stem = "\(folder)/\(name)"
        if files.fileExists(atPath: stem + ".tsv") { return .tabSeparated(stem + ".tsv") }
        if files.fileExists(atPath: stem + ".csv") { return .commaSeparated(stem + ".csv") }
        if files.fileExists(atPath: stem + ".npz") { return .npz(stem + ".npz") }
        return nil
    }

    static func read(_ found: Found, description: DatasetDescription) throws -> LabelledSamples {
        switch found {
        case .idx(let imagePath, let labelPath):
            let images = try IDXFile(path: imagePath).images(path: imagePath)
            let labels = try IDXFile(path: labelPath)
            guard labels.dimensions.count == 1, labels.bytes.count == images.count else {
                throw Failure(
                    .dataMalformed, "\(images.count) images, but \(labels.bytes.count) labels", path: labelPath)
            }
            let ids = labels.bytes.map(Int.init)
            try checkLabels(ids, classes: description.classes.count, path: labelPath)
            return LabelledSamples(store: .images(images), labels: ids)
        case .tabSeparated(let path):
            let rows = DelimitedText.tabSeparated(try TextFile.read(path, maximumBytes: 2 << 30))
            return try texts(rows, columns: description.columns, description: description, path: path)
        case .commaSeparated(let path):
            var rows = try DelimitedText.commaSeparated(try TextFile.read(path, maximumBytes: 2 << 30), path: path)
            guard !rows.isEmpty else { throw Failure(.dataMalformed, "the file is empty", path: path) }
            let header = rows.removeFirst().fields
            return try texts(rows, columns: header, description: description, path: path)
        case .npz(let path): return try NPZFile.samples(path, classes: description.classes.count)
        }
    }

    static func checkLabels(_ labels: [Int], classes: Int, path: String) throws {
        guard let index = labels.firstIndex(where: { !(0..<classes).contains($0) }) else { return }
        throw Failure(
            .dataMalformed, "label \(labels[index]) of sample \(index) is none of the \(classes) classes", path: path,
            place: "sample \(index)")
    }

    /// The text is the column `text` (else the first), the label the first other column that names classes.
    private static func texts(
        _ rows: [DelimitedText.Row], columns: [String], description: DatasetDescription, path: String
    ) throws -> LabelledSamples {
        let textColumn = columns.firstIndex(of: "text") ?? 0
        let ids = Dictionary(
            description.classes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        let labelColumn = columns.indices.first { $0 != textColumn } ?? 1
        var texts: [String] = []
        var labels: [Int] = []
        for row in rows {
            guard row.fields.count == columns.count else {
                throw Failure(
                    .dataMalformed, "\(row.fields.count) fields instead of \(columns.count)", path: path,
                    place: "line \(row.line)")
            }
            let name = row.fields[labelColumn]
            guard let id = ids[name] else {
                throw Failure(
                    .dataMalformed, "'\(name)' is no class of this data set", path: path, place: "line \(row.line)",
                    hint: Spelling.hint(for: name, among: ids.keys))
            }
            texts.append(row.fields[textColumn])
            labels.append(id)
        }
        return LabelledSamples(store: .texts(texts), labels: labels)
    }

    /// What a column of the text files says about each class.
    static func classValues(of column: String, in dataset: Dataset) throws -> [String?] {
        let description = dataset.description
        var values = [String?](repeating: nil, count: description.classes.count)
        let ids = Dictionary(
            description.classes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        var columns = description.columns
        for name in ["train", "test"] {
            let rows: [DelimitedText.Row]
            let path: String
            switch find(name, in: dataset.path) {
            case .tabSeparated(let file):
                path = file
                rows = DelimitedText.tabSeparated(try TextFile.read(file, maximumBytes: 2 << 30))
            case .commaSeparated(let file):
                path = file
                let all = try DelimitedText.commaSeparated(try TextFile.read(file, maximumBytes: 2 << 30), path: file)
                columns = all.first?.fields ?? []
                rows = Array(all.dropFirst())
            default: continue
            }
            let textColumn = columns.firstIndex(of: "text") ?? 0
            guard let place = columns.firstIndex(of: column), place != textColumn,
                let labelColumn = columns.indices.first(where: { $0 != textColumn })
            else { break }
            for row in rows where row.fields.count == columns.count {
                guard let id = ids[row.fields[labelColumn]] else { continue }
                guard values[id] == nil || values[id] == row.fields[place] else {
                    throw Failure(
                        .dataMalformed, "class '\(row.fields[labelColumn])' has several values of '\(column)'",
                        path: path, place: "line \(row.line)")
                }
                values[id] = row.fields[place]
            }
        }
        guard values.contains(where: { $0 != nil }) else {
            let known = columns.filter { $0 != "text" }
            throw Failure(
                .dataMissing, "the data have no column '\(column)'", path: dataset.path,
                hint: Spelling.hint(for: column, among: known)
                    ?? (known.isEmpty ? nil : "columns are: " + known.joined(separator: ", ")))
        }
        return values
    }
}
