import Foundation
import Testing
import WeightFiles

/// `recipe learn` on the starter adapters and digits.
@Suite struct RecipeLearnCommandTests {
    private func recipe(_ scratch: Scratch, method: String = "cat") throws {
        let models = ["01", "23", "45", "67", "89"].map { "  - model: \(Tool.starter)/digits-\($0)" }
        let text = """
            merge_method: \(method)
            models:
            \(models.joined(separator: "\n"))
            parameters: { weight: 0.2 }
            others: mean
            """
        try Data(text.utf8).write(to: URL(filePath: scratch.folder + "/recipe.yaml"))
    }

    @Test func `the learned recipe merges and is better than equal weights`() throws {
        let scratch = try Scratch()
        let root = Tool.package + "/bank/starter"
        _ = try scratch.json("backbone", "import", root + "/backbone", "--name", "starter")
        _ = try scratch.json("data", "import", root + "/data", "--name", "starter")
        try recipe(scratch)
        let found = try scratch.json(
            "recipe", "learn", "recipe.yaml", "--suite", suite, "--samples", "300", "--steps", "30", "--to",
            "learned.json")
        let records = try #require(found["validation"]?.array)
        let losses = records.compactMap { $0["loss"]?.double }
        #expect(losses.count == records.count && losses.count > 5)
        #expect(try #require(losses.min()) < losses[0])
        guard case .object(let weights)? = found["adapters"]?[0]?["weights"] else {
            Issue.record("no weights")
            return
        }
        #expect(weights.count == 8)
        _ = try scratch.json("merge", "learned.json", "--to", "learned")
        _ = try scratch.json("merge", "recipe.yaml", "--to", "equal")
        let results = try scratch.json("eval", "--suite", suite, "path:learned", "path:equal")["results"]?.array ?? []
        let accuracies = results.compactMap { $0["acc_global"]?.double }
        #expect(accuracies.count == 2)
        #expect(accuracies[0] > accuracies[1])
    }

    @Test func `only cat has weights to learn`() throws {
        let scratch = try Scratch()
        try recipe(scratch, method: "ties")
        let failure = try scratch.run(
            "recipe", "learn", "recipe.yaml", "--suite", suite, "--to", "learned.json")
        #expect(failure.status != 0)
        #expect(failure.errors.contains("merge_method: cat"))
        #expect(!FileManager.default.fileExists(atPath: scratch.folder + "/learned.json"))
    }

    private var suite: String { Tool.package + "/recipes/suites/starter-digits.yaml" }
}
