import Diagnostics
import Foundation
import Testing

@testable import Merging

/// The recipes in `recipes/merge/` run on the starter bank as they are.
@Suite struct RecipeShippedTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("recipes/merge").path

    static let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
        .filter { $0.hasSuffix(".yaml") }.sorted()

    let library = MemoryLibrary(
        TestAdapters.adapter("task0"), TestAdapters.adapter("task1"), TestAdapters.adapter("task2"))

    @Test func `there is a recipe for every method of the first rank`() {
        let wanted = [
            "cat", "linear", "task_arithmetic", "svd", "ties", "tsv_m", "pam_direction", "pam_delta", "pam_factor",
            "peft_linear", "peft_cat", "peft_svd", "peft_ties", "peft_ties_svd", "peft_magnitude_prune",
            "peft_magnitude_prune_svd",
        ]
        #expect(Set(wanted).subtracting(Self.files.map { String($0.dropLast(5)) }).isEmpty)
    }

    @Test(arguments: files)
    func `a shipped recipe reads, plans and raises no unexpected warning`(_ file: String) throws {
        let recipe = try RecipeReader().read(path: Self.folder + "/" + file)
        #expect(recipe.notes.isEmpty)
        #expect(recipe.name != nil)
        #expect(recipe.stages[0].models.map(\.reference.value) == ["tag:set=starter"])
        let plan = try RecipePlanner(library: library).plan(recipe)
        #expect(plan.result.operands.count == 3)
        #expect(plan.result.modules.count == 4)
        #expect(plan.result.notes.isEmpty)
        #expect(plan.result.output.tags == ["merged": ""])
        // The factor-wise forms of PEFT say so, a stream by tag names its order; nothing else is doubtful.
        let codes = Set(MergeLint.warnings(in: plan).map(\.code))
        let expected: Set<String> = ["lint.factorwise", "lint.order_of_tags"]
        #expect(codes.isSubset(of: expected), "\(codes)")
    }

    @Test(arguments: files)
    func `a shipped recipe says when to use it, its source and how to run it`(_ file: String) throws {
        let text = try String(contentsOfFile: Self.folder + "/" + file, encoding: .utf8)
        let comment = text.split(separator: "\n").prefix { $0.hasPrefix("#") }.joined(separator: "\n")
        for part in ["When to use it:", "Source:", "lorabank merge recipes/merge/\(file)"] {
            #expect(comment.contains(part), "\(part)")
        }
    }

    /// Every parameter that a recipe shows with a value can be left out or is required: none is a misspelling.
    @Test(arguments: files)
    func `a shipped recipe sets only declared parameters`(_ file: String) throws {
        let recipe = try RecipeReader().read(path: Self.folder + "/" + file)
        let stage = recipe.stages[0]
        let method = try #require(
            MethodRegistry.standard.method(stage.method.value, compatibility: stage.compatibility))
        let written = stage.parameters.entries.map(\.name) + stage.models.flatMap { $0.parameters.entries.map(\.name) }
        #expect(!written.isEmpty)
        for name in written { #expect(method.parameter(named: name) != nil, "\(name)") }
    }
}
