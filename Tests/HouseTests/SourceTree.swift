import Foundation

/// The package's own sources, read as text.
struct SourceTree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    struct File: Sendable, CustomStringConvertible {
        /// Relative to the package.
        var path: String
        var text: String
        var description: String { path }

        /// The folder below Sources or Tests.
        var module: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

        /// Names after `import` at the beginning of a line.
        var imports: Set<String> {
            var names: Set<String> = []
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ").drop { $0.hasPrefix("@") || $0 == "public" || $0 == "internal" }
                guard words.first == "import", let last = words.last else { continue }
                names.insert(String(last.split(separator: ".")[0]))
            }
            return names
        }
    }

    /// Every Swift file below a folder of the package.
    static func files(below folder: String) throws -> [File] {
        let base = root + "/" + folder
        return try FileManager.default.subpathsOfDirectory(atPath: base).filter { $0.hasSuffix(".swift") }.sorted().map
        {
            File(path: folder + "/" + $0, text: try String(contentsOfFile: base + "/" + $0, encoding: .utf8))
        }
    }
}
