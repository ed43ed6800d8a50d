import Foundation
import Testing
import WeightFiles

/// `recipe search` on the starter adapters.
@Suite struct SearchCommandTests {
    private func recipe(_ scratch: Scratch, _ search: String) throws {
        let text = """
            merge_method: tsv_m
            models:
              - model: \(Tool.starter)/digits-01
              - model: \(Tool.starter)/digits-23
            search: \(search)
            """
        try Data(text.utf8).write(to: URL(filePath: scratch.folder + "/recipe.yaml"))
    }

    @Test func `cores give the numbers of whole merges`() throws {
        let scratch = try Scratch(bank: false)
        try recipe(scratch, "{ over: { lambda: [0.3, 1.0, 1.5] }, strategy: grid }")
        let cores = try scratch.json("recipe", "search", "recipe.yaml", "--table", "table.csv")
        let whole = try scratch.json("recipe", "search", "recipe.yaml", "--objective", "sign_conflict")
        #expect(cores["cached_cores"]?.bool == true && whole["cached_cores"]?.bool == false)
        for index in 0..<3 {
            let a = try #require(cores["trials"]?[index]?["retention"]?.double)
            let b = try #require(whole["trials"]?[index]?["retention"]?.double)
            #expect(abs(a - b) < 1e-4)
        }
        #expect(cores["best"]?["values"]?["lambda"]?.string == "1.0")
        let table = try String(contentsOfFile: scratch.folder + "/table.csv", encoding: .utf8)
        #expect(table.split(separator: "\n").count == 4)
    }

    @Test func `evolution keeps to its budget and repeats itself`() throws {
        let scratch = try Scratch(bank: false)
        try recipe(scratch, "{ over: { lambda: [0.1, 2.0] }, strategy: cma_es, budget: 12 }")
        let first = try scratch.json("recipe", "search", "recipe.yaml")
        let second = try scratch.json("recipe", "search", "recipe.yaml")
        #expect(first["trials"]?.array?.count == 12)
        #expect(first["trials"] == second["trials"])
        let best = try #require(first["best"]?["retention"]?.double)
        #expect(best > 0.9)
    }

    @Test func `the table of a search gives its figures`() throws {
        let scratch = try Scratch(bank: false)
        try recipe(scratch, "{ over: { lambda: [1.5, 0.5, 1.0], \"models[0].weight\": [1.0, 2.0] }, strategy: grid }")
        let found = try scratch.json("recipe", "search", "recipe.yaml", "--table", "table.csv")
        let names = try scratch.json("plot", "table.csv")["figures"]?.array?.compactMap(\.string)
        #expect(
            names == [
                "search", "score-over-lambda", "score-over-models-0-weight", "score-over-lambda-and-models-0-weight",
            ])
        let course = try scratch.json("plot", "table.csv", "search", "--format", "csv")["text"]?.string ?? ""
        let rows = course.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        #expect(rows.count == 13)
        let best = try #require(found["best"]?["score"]?.double)
        #expect(rows.last.map { Double($0[2]) } == best)
        let along = try scratch.json("plot", "table.csv", "score-over-lambda", "--format", "csv")["text"]?.string ?? ""
        let values = along.split(separator: "\n").dropFirst().compactMap { Double($0.split(separator: ",")[1]) }
        #expect(values == [0.5, 1, 1.5])
        try scratch.succeed("plot", "table.csv", "search", "--to", "search.svg")
        let svg = try String(contentsOfFile: scratch.folder + "/search.svg", encoding: .utf8)
        #expect(svg.hasPrefix("<svg") && !svg.contains("http-equiv") && !svg.contains("<script"))
    }

    @Test func `another table is no search`() throws {
        let scratch = try Scratch(bank: false)
        try Data("a,b\n1,2\n".utf8).write(to: URL(filePath: scratch.folder + "/other.csv"))
        #expect(try scratch.run("plot", "other.csv").errors.contains("usage.bad_argument"))
        #expect(try scratch.run("plot", "missing.csv").errors.contains("io.not_found"))
    }

    @Test func `a grid beyond the budget is refused`() throws {
        let scratch = try Scratch(bank: false)
        try recipe(scratch, "{ over: { lambda: [0.1, 0.2, 0.3] }, strategy: grid, budget: 2 }")
        let outcome = try scratch.run("recipe", "search", "recipe.yaml")
        #expect(outcome.status == 2 && outcome.errors.contains("recipe.bad_parameter"))
    }
}
