/// The same page as Markdown: tables as they are, figures as links to files beside it.
public struct MarkdownPage: Sendable {
    public var page: HTMLPage
    /// Folder of the figures, relative to the file.
    public var figures: String

    public init(_ page: HTMLPage, figures: String = "figures") {
        self.page = page
        self.figures = figures
    }

    /// The file's content.
    public var text: String {
        var text = "# \(Self.escaped(page.title))\n\n\(Self.escaped(page.origin))\n"
        for section in page.sections {
            text += "\n## \(Self.escaped(section.title))\n\n"
            text += section.blocks.map { markup(of: $0) }.joined(separator: "\n")
        }
        return text
    }

    private func markup(of block: HTMLPage.Block) -> String {
        switch block {
        case .paragraph(let text): Self.escaped(text) + "\n"
        case .note(let text): "> " + Self.escaped(text) + "\n"
        case .list(let items): items.map { "- " + Self.escaped($0) + "\n" }.joined()
        case .code(let text): "```\n\(text)\n```\n"
        case .figure(let figure): link(figure)
        case .figures(let figures): figures.map { link($0) }.joined(separator: "\n")
        case .pictures(let groups): groups.map { Self.picture($0) }.joined(separator: "\n")
        case .table(let table): markup(of: table)
        }
    }

    private static func picture(_ group: HTMLPage.Pictures) -> String {
        let images = group.images.map { "![\(escaped(group.caption))](\($0.dataURI))" }
        return escaped(group.caption) + ": " + images.joined(separator: " ") + "\n"
    }

    private func link(_ figure: any Figure) -> String {
        "![\(Self.escaped(figure.title))](\(figures)/\(figure.fileName).svg)\n"
    }

    private func markup(of table: HTMLPage.Table) -> String {
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
        let rule = table.heading.indices.map { table.numeric.contains($0) ? "---:" : "---" }
        return line(table.heading.map { Self.escaped($0) }) + line(rule)
            + table.rows.map { line($0.map { Self.escaped($0) }) }.joined()
    }

    /// One line; a bar would end a cell, and `<` would begin markup.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "|": result += "\\|"
            case "<": result += "&lt;"
            case "\n", "\r": result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension Figure {
    /// The title as a file name: small letters, digits and hyphens.
    public var fileName: String {
        var name = ""
        for scalar in title.lowercased().unicodeScalars {
            let isPlain = ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
            if isPlain {
                name.unicodeScalars.append(scalar)
            } else if !name.isEmpty, name.last != "-" {
                name += "-"
            }
        }
        while name.last == "-" { name.removeLast() }
        return name
    }
}

extension HTMLPage {
    /// All figures of the page in their order.
    public var figures: [any Figure] {
        sections.flatMap(\.blocks).flatMap { block -> [any Figure] in
            switch block {
            case .figure(let figure): [figure]
            case .figures(let figures): figures
            case .paragraph, .note, .list, .code, .table, .pictures: []
            }
        }
    }
}
