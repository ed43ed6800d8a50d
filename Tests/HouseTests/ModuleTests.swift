import Foundation
import Testing

@Suite struct ModuleTests {
    /// What each module may import of the others. Arrows point down only; a new one has to be entered here first.
    static let arrows: [String: Set<String>] = [
        "Diagnostics": [], "Digests": [], "Settings": ["Diagnostics"], "Tensors": ["CVector", "Diagnostics"],
        "LinearAlgebra": ["Tensors", "Diagnostics", "COpenBLAS", "CLAPACKE", "CVector"],
        "WeightFiles": ["Tensors", "Diagnostics", "Digests", "CArchive"],
        "Adapters": ["WeightFiles", "Tensors", "LinearAlgebra", "Diagnostics", "Digests"],
        "Governance": ["Adapters", "WeightFiles", "Tensors", "LinearAlgebra", "Diagnostics", "Digests"],
        "Bank": ["Governance", "Adapters", "WeightFiles", "Tensors", "Diagnostics", "Digests"],
        "Merging": ["Settings", "Adapters", "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics", "Digests"],
        "Networks": ["WeightFiles", "Adapters", "LinearAlgebra", "Tensors", "Diagnostics", "Digests", "CVector"],
        "Training": [
            "Settings", "Networks", "WeightFiles", "Adapters", "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
        ],
        "Evaluation": [
            "Settings", "Training", "Networks", "Merging", "WeightFiles", "Adapters", "LinearAlgebra", "Tensors",
            "Diagnostics",
            "Digests",
        ],
        "ContinualLearning": [
            "Settings", "Evaluation", "Training", "Networks", "Merging", "WeightFiles", "Adapters", "LinearAlgebra",
            "Tensors",
            "Diagnostics", "Digests",
        ],
        "Routing": [
            "Settings", "Evaluation", "Training", "Networks", "Merging", "WeightFiles", "Adapters", "LinearAlgebra",
            "Tensors",
            "Diagnostics", "Digests",
        ],
        "Reports": ["Diagnostics"],
    ]

    /// Outside packages and C libraries: each has one door.
    static let doors: [String: String] = [
        "GRDB": "Bank", "Yams": "Settings", "Crypto": "Digests", "ArgumentParser": "lorabank",
        "CArchive": "WeightFiles",
        "COpenBLAS": "LinearAlgebra", "CLAPACKE": "LinearAlgebra", "CPNG": "Training", "CTurboJPEG": "Training",
    ]

    static let system: Set<String> = [
        "Foundation", "FoundationEssentials", "Glibc", "Dispatch", "Synchronization", "Testing",
    ]

    @Test func `modules import only what stands below them`() throws {
        for file in try SourceTree.files(below: "Sources") {
            guard let allowed = Self.arrows[file.module] else { continue }
            let doors = Set(Self.doors.filter { $0.value == file.module }.keys)
            let stray = file.imports.subtracting(allowed).subtracting(doors).subtracting(Self.system)
            #expect(stray.isEmpty, "\(file) imports \(stray.sorted())")
        }
    }

    @Test func `every folder of Sources is known here`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: SourceTree.root + "/Sources")
        let known = Set(Self.arrows.keys).union(["CVector", "lorabank", "lorabank-bench"]).union(Self.doors.keys)
        #expect(Set(folders).subtracting(known).isEmpty)
    }

    @Test func `outside packages and C libraries have one door each`() throws {
        for file in try SourceTree.files(below: "Sources") {
            for name in file.imports {
                guard let door = Self.doors[name] else { continue }
                #expect(file.module == door, "\(file) imports \(name)")
            }
        }
    }

    @Test func `the package declares no arrow that is not allowed`() throws {
        let text = try String(contentsOfFile: SourceTree.root + "/Package.swift", encoding: .utf8)
        let declared = PackageText.targets(in: text)
        #expect(declared.count >= 10)
        for (name, dependencies) in declared {
            guard let allowed = Self.arrows[name] else { continue }
            let stray = dependencies.subtracting(allowed).filter { Self.doors[$0] != name }
            #expect(stray.isEmpty, "\(name) depends on \(stray.sorted())")
        }
    }

    @Test func `the allowed arrows have no circle`() {
        var settled = Set(Self.doors.keys).union(["CVector"])
        var open = Self.arrows
        while let next = open.first(where: { $0.value.isSubset(of: settled) }) {
            settled.insert(next.key)
            open[next.key] = nil
        }
        #expect(open.isEmpty, "a circle among \(open.keys.sorted())")
    }

    @Test func `every module opens with a page that says what it is for`() throws {
        let files = try SourceTree.files(below: "Sources")
        for module in Set(files.map(\.module)).subtracting(["lorabank-bench"]) {
            let candidates = files.filter { file in
                file.module == module
                    && ["\(module).swift", "\(module)Module.swift", "LoRABank.swift"].contains {
                        file.path.hasSuffix("/" + $0)
                    }
            }
            let opening =
                candidates.map { file in
                    file.text.split(separator: "\n", omittingEmptySubsequences: false).prefix { $0.hasPrefix("//") }
                        .count
                }.max() ?? 0
            #expect(opening >= 4, "\(module) has no opening page")
        }
    }
}

/// The targets of a package manifest, read by their brackets.
enum PackageText {
    /// Name → names of the targets of this package that it depends on.
    static func targets(in text: String) -> [(String, Set<String>)] {
        text.components(separatedBy: ".target(").dropFirst().compactMap { part in
            guard let name = firstQuoted(in: part) else { return nil }
            guard let start = part.range(of: "dependencies: [") else { return (name, []) }
            let header = part[..<start.lowerBound]
            guard !header.contains(")") else { return (name, []) }
            var depth = 1
            var list = ""
            for character in part[start.upperBound...] {
                if character == "[" { depth += 1 }
                if character == "]" { depth -= 1 }
                if depth == 0 { break }
                list.append(character)
            }
            let products = list.components(separatedBy: ".product(").enumerated().map { index, piece in
                index == 0 ? piece : String(piece.drop { $0 != ")" })
            }.joined()
            let quoted = products.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            return (name, Set(quoted))
        }
    }

    private static func firstQuoted(in text: String) -> String? {
        let parts = text.split(separator: "\"", maxSplits: 2, omittingEmptySubsequences: false)
        return parts.count == 3 ? String(parts[1]) : nil
    }
}
