/// Where a setting was written: a place in a file, or an option of the command line.
public enum SourcePlace: Hashable, Sendable, CustomStringConvertible {
    /// Both count from 1; columns count Unicode scalars.
    case file(line: Int, column: Int)
    /// The option as the user typed it, e.g. `--set output.rank=32`.
    case option(String)

    public var description: String {
        switch self {
        case .file(let line, let column): "line \(line), column \(column)"
        case .option(let text): text
        }
    }

    public var line: Int? {
        if case .file(let line, _) = self { line } else { nil }
    }
}
