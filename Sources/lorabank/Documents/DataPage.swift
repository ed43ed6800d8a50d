import Reports
import Training
import WeightFiles

/// The page of a data set: counts, hashes, and samples to look at.
struct DataPage {
    let facts: DataFacts
    let name: String
    /// Samples shown of each class; nil: as many as fit.
    let perClass: Int?

    /// At most so many pictures or sentences in all, unless `perClass` says otherwise.
    private static let room = 200
    /// At most so many classes are shown.
    private static let mostClasses = 400
    /// Longest side of a picture in pixels.
    private static let side = 96

    private var classes: [ClassDescription] { facts.dataset.description.classes }

    func page(origin: String) -> HTMLPage {
        HTMLPage(
            title: "Data: \(name)", origin: origin, sections: [splits, counts, samples],
            data: JSONValue.document("data", [.init("data", .object([.init("name", .string(name))] + facts.json))])
                .text())
    }

    private var splits: HTMLPage.Section {
        let table = HTMLPage.Table(
            heading: ["Split", "Samples", "Content SHA-256"],
            rows: facts.splits.map { [$0.name, "\($0.count)", $0.content] }, numeric: [1])
        return .init(
            "Splits",
            [
                .paragraph("\(classes.count) classes; \(facts.what)."), .table(table),
                .paragraph(
                    "The hash covers every sample and its label, in order: splits with one hash are the same data."),
            ])
    }

    private var counts: HTMLPage.Section {
        let tasks = facts.dataset.description.tasks
        let names = facts.dataset.description.taskNames
        func task(_ id: Int) -> String {
            tasks.firstIndex { $0.contains(id) }.map { names[$0] } ?? classes[id].group ?? ""
        }
        let table = HTMLPage.Table(
            heading: ["Class", "Name", "Task"] + facts.splits.map(\.name),
            rows: classes.enumerated().map { id, description in
                ["\(id)", description.name, task(id)] + facts.splits.map { "\($0.counts[id])" }
            }, numeric: Set([0] + facts.splits.indices.map { $0 + 3 }))
        guard classes.count <= 40 else { return .init("Classes", [.table(table)]) }
        let chart = BarChart(
            title: "Samples of each class", yTitle: "samples", groups: classes.map(\.name),
            series: facts.splits.map(\.name),
            bars: classes.indices.map { id in facts.splits.map { .init(Double($0.counts[id])) } })
        return .init("Classes", [.figure(chart), .table(table)])
    }

    // MARK: Samples

    /// Of the first split, that is of the training data where there are any: nobody has to look at test data.
    private var samples: HTMLPage.Section {
        let split = facts.splits[0]
        let number = perClass ?? max(1, min(8, Self.room / max(1, classes.count)))
        let places = split.samples.positions(classes: classes.count).prefix(Self.mostClasses).map {
            Self.spread($0, number)
        }
        var blocks: [HTMLPage.Block] = [
            .paragraph(
                "From the split \(split.name): \(number) of each class at equal distances in the order of the file. "
                    + (classes.count > Self.mostClasses ? "Only the first \(Self.mostClasses) classes are shown." : "")
            )
        ]
        switch split.samples.store {
        case .texts(let texts):
            let rows = places.enumerated().flatMap { id, positions in
                positions.map { [classes[id].name, TextWidth.truncated(texts[$0], to: 400)] }
            }
            blocks.append(.table(.init(heading: ["Class", "Text"], rows: rows, prose: [1])))
        case .images(let set):
            blocks.append(
                .pictures(
                    places.enumerated().compactMap { id, positions in
                        let images = positions.compactMap { image(set, $0)?.shrunk(to: Self.side) }
                        return images.isEmpty ? nil : .init(classes[id].name, images)
                    }))
        }
        return .init("Samples", blocks)
    }

    /// `number` of the positions at equal distances, the first among them; all when there are fewer.
    static func spread(_ positions: [Int], _ number: Int) -> [Int] {
        guard positions.count > number else { return positions }
        return (0..<number).map { positions[$0 * positions.count / number] }
    }

    /// Three channels and more are read as red, green and blue, fewer as grey; the range of values fills that of bytes.
    private func image(_ set: ImageSet, _ position: Int) -> PixelImage? {
        let shape = set.shape
        let range = facts.dataset.description.valueRange
        let span = max(1, range.upperBound - range.lowerBound)
        let bytes = Array(set[position])
        let area = shape.height * shape.width
        let depth = shape.channels >= 3 ? 3 : 1
        var pixels = [UInt8](repeating: 0, count: area * depth)
        guard bytes.count >= pixels.count else { return nil }
        for channel in 0..<depth {
            for place in 0..<area {
                let value = (Int(bytes[channel * area + place]) - range.lowerBound) * 255 / span
                pixels[place * depth + channel] = UInt8(max(0, min(255, value)))
            }
        }
        return PixelImage(width: shape.width, height: shape.height, isColour: depth == 3, pixels: pixels)
    }
}
