import Foundation
import Testing
import WeightFiles

/// `router`, on the tiny suite of words of EvaluationTests.
@Suite struct RouterCommandTests {
    static let words = Tool.package + "/Tests/EvaluationTests/Fixtures/words"

    /// A bank with the three experts, approved, and a configuration.
    static func prepared() throws -> (scratch: Scratch, config: String) {
        let scratch = try Scratch()
        for name in ["food", "money", "trips"] {
            try scratch.succeed("import", words + "/" + name, "--name", name, "--tag", "set=words")
            try scratch.succeed("approve", name, "--reason", "test")
        }
        let config = scratch.folder + "/router.yaml"
        let text = """
            name: words
            suite: \(words)/suite.yaml
            experts: ["tag:set=words"]
            train: { steps: 20 }
            seed: 1
            router: { scope: global, granularity: sequence }
            routing: { mode: topk, k: 2 }
            loss: { preset: none, domain: 1 }
            """
        try text.write(toFile: config, atomically: true, encoding: .utf8)
        return (scratch, config)
    }

    @Test func `train, keep, trace, replay, explain, collapse, revoke`() throws {
        let (scratch, config) = try Self.prepared()
        let run = scratch.folder + "/run"
        let document = try scratch.json(
            "router", "train", config, "--run", run, "--name", "words", "--baselines",
            "backbone,single,oracle-task,uniform,merged,arrow,centroid,global-domain")
        #expect(
            document.keys.starts(with: [
                "schema", "router", "n_train", "seconds_train", "results", "load", "entropy", "mutual_information",
                "specialisation",
            ]))
        let subjects = (document["results"]?.array ?? []).compactMap { $0["subject"]?.string }
        #expect(subjects.starts(with: ["router:topk2", "router:topk1", "router:soft", "backbone", "single:food@1"]))
        #expect(subjects.contains("merged:tsv_m") && subjects.contains("global-domain"))
        let row = try #require(document["results"]?.array?.last)
        #expect(row["difference_low"]?.double != nil && row["normalised"]?.double != nil)

        let shown = try scratch.json("router", "show", "words")
        #expect(shown["router"]?["state"]?.string == "usable")
        #expect(shown["router"]?["lineage"]?.array?.count == 3)
        let trace = scratch.folder + "/trace.jsonl"
        let page = scratch.folder + "/trace.html"
        let traced = try scratch.json("router", "trace", "words", "--to", trace, "--first", "9", "--html", page)
        #expect(traced["samples"]?.integer == 9)
        #expect(try String(contentsOfFile: page, encoding: .utf8).contains("Mean weight of each expert by task"))
        let replayed = try scratch.json("router", "replay", "words", "--trace", trace)
        #expect(replayed["exact"]?.bool == true && replayed["digest"] == traced["digest"])
        var lines = try String(contentsOfFile: trace, encoding: .utf8)
        lines = lines.replacingOccurrences(of: "\"pred\":", with: "\"pred\": ")
        try lines.write(toFile: trace, atomically: true, encoding: .utf8)
        #expect(try scratch.run("router", "replay", "words", "--trace", trace).status == 9)

        let explained = try scratch.json(
            "router", "explain", "words", "--sample", "4", "--html", scratch.folder + "/e.html")
        #expect(explained["counterfactuals"]?.array?.count == 2)
        #expect(explained["provenance"]?[0]?["state"]?.string == "approved")
        let collapsed = try scratch.json("router", "collapse", "words", "--name", "words-static")
        #expect(collapsed["lost"]?.double != nil && collapsed["version"]?.integer == 1)
        let lineage = try scratch.json("show", "words-static")
        #expect(lineage["adapter"]?["lineage"]?.array?.count == 3)

        let revoked = try scratch.succeed("revoke", "money", "--reason", "test")
        #expect(revoked.errors.contains("router 'words' needs 'money@1'"))
        let refused = try scratch.run("router", "eval", "words")
        #expect(refused.status == 8 && refused.errors.contains("revoked"))
        let list = try scratch.json("router", "list")
        #expect(list["routers"]?[0]?["state"]?.string == "refused: money@1 is revoked")
    }
}
