import Adapters
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

    let library = ShippedLibrary(adapters: (0..<3).map { TestAdapters.adapter("task\($0)") })

    /// Methods of one or two adapters name starter adapters by their path, all others take the tag.
    static let named = [
        "slerp", "nuslerp", "tsv_c", "genknowsub", "mergekit_slerp", "mergekit_nuslerp", "mergekit_nearswap",
    ]

    /// Three adapters for the tag, the first ones in turn for paths.
    struct ShippedLibrary: AdapterLibrary {
        let adapters: [NamedAdapter]

        func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
            if reference == "tag:set=starter" { return adapters }
            let starters = ["digits-01", "digits-23", "digits-45"]
            let index = starters.firstIndex { reference == "path:../../bank/starter/adapters/" + $0 }
            return [adapters[try #require(index)]]
        }
    }

    @Test func `there is a recipe for every method of the first rank`() {
        let wanted = [
            "cat", "linear", "task_arithmetic", "svd", "ties", "tsv_m", "pam_direction", "pam_delta", "pam_factor",
            "peft_linear", "peft_cat", "peft_svd", "peft_ties", "peft_ties_svd", "peft_magnitude_prune",
            "peft_magnitude_prune_svd",
        ]
        let every = MethodRegistry.standard.all.map { method in
            let prefix =
                method.compatibilities == [.none] || method.role != .merge
                ? "" : method.compatibilities.map(\.rawValue).sorted()[0] + "_"
            return prefix + method.id
        }.filter { $0 != "pam" && $0 != "mergekit_arcee_fusion" && $0 != "negate" }
        #expect(
            Set(every).subtracting(Self.files.map { String($0.dropLast(5)) }).subtracting(["magnitude_prune"]).isEmpty)
        #expect(Set(wanted).subtracting(Self.files.map { String($0.dropLast(5)) }).isEmpty)
    }

    @Test(arguments: files)
    func `a shipped recipe reads, plans and raises no unexpected warning`(_ file: String) throws {
        let recipe = try RecipeReader().read(path: Self.folder + "/" + file)
        #expect(recipe.notes.isEmpty)
        #expect(recipe.name != nil)
        let references = recipe.stages[0].models.map(\.reference.value)
        let isNamed = Self.named.contains(String(file.dropLast(5)))
        #expect(isNamed || references == ["tag:set=starter"])
        let plan = try RecipePlanner(library: library).plan(recipe)
        #expect(plan.result.operands.count == (isNamed ? references.count : 3))
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

    /// Made-up adapters stand for the starter ones: every method runs, small.
    @Test(arguments: files) func `a shipped recipe runs`(_ file: String) throws {
        var random = SplitMix(41)
        let adapters = try (0..<3).map { i in
            try TestAdapter(
                "task\(i)", [.random("blocks.0.a", 14, 10, 3, &random), .random("blocks.1.a", 9, 12, 3, &random)]
            ).named()
        }
        let recipe = try RecipeReader().read(path: Self.folder + "/" + file)
        var plan = try RecipePlanner(library: ShippedLibrary(adapters: adapters)).plan(recipe).result
        // The made-up adapters did not start from the same factors.
        if file == "pam_factor.yaml" {
            for i in plan.modules.indices { plan.modules[i].parameters["force"] = .bool(true) }
        }
        let outcome = try MergeOutcome.of(plan)
        #expect(outcome.record.modules.map(\.name) == ["blocks.0.a", "blocks.1.a"])
        for module in outcome.record.modules {
            #expect(module.frobenius.isFinite)
            let norm = try outcome.delta(module.name).norm
            #expect(abs(norm - module.frobenius) < 1e-4 * max(1, module.frobenius))
        }
    }
}
