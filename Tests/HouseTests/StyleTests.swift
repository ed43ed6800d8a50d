import Foundation
import Testing

@Suite struct StyleTests {
    @Test func `no source file has 500 lines`() throws {
        for file in try SourceTree.files(below: "Sources") + SourceTree.files(below: "Tests") {
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(lines < 500, "\(file) has \(lines) lines")
        }
    }

    @Test func `lines keep to a readable width`() throws {
        for file in try SourceTree.files(below: "Sources") {
            let lines: [Substring] = file.text.split(separator: "\n")
            let long = lines.first { $0.count > 180 }.map(String.init)
            #expect(long == nil, "\(file): \(long ?? "")")
        }
    }

    /// Things that crash on a user's input, or that were left for later.
    @Test func `nothing is forced, fatal or left for later`() throws {
        let banned = ["try" + "!", "fatal" + "Error(", "TO" + "DO", "FIX" + "ME", "as" + "! "]
        for file in try SourceTree.files(below: "Sources") {
            for word in banned { #expect(!file.text.contains(word), "\(file) contains \(word)") }
        }
    }

    @Test func `no test is switched off`() throws {
        let banned = [".dis" + "abled(", "XCTSkip" + "("]
        for file in try SourceTree.files(below: "Tests") {
            for word in banned { #expect(!file.text.contains(word), "\(file) contains \(word)") }
        }
    }

    @Test func `no file is named after a pattern instead of its subject`() throws {
        let vague = [
            "Utils.swift", "Util.swift", "Helpers.swift", "Helper.swift", "Manager.swift", "Misc.swift", "Common.swift",
        ]
        for file in try SourceTree.files(below: "Sources") {
            #expect(!vague.contains { file.path.hasSuffix($0) }, "\(file)")
        }
    }
}
