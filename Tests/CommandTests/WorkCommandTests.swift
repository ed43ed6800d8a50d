import Foundation
import Testing
import WeightFiles

/// `merge`, `recipe`, `compare`, `report`.
@Suite struct WorkCommandTests {
    @Test func `merge prints the keys that programs rely on, and the bank knows the parents`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let merged = try scratch.json(
            "merge", "--method", "tsv_m", "digits-01", "digits-23", "--set", "lambda=0.5", "--name", "both", "--tag",
            "made")
        #expect(merged.keys.starts(with: ["schema", "output", "method", "compat", "seed", "modules", "seconds"]))
        #expect(merged["output"]?.keys == ["name", "version", "object", "path"])
        #expect(merged["output"]?["name"]?.string == "both")
        #expect(merged["method"]?.string == "tsv_m")
        #expect(merged["compat"]?.string == "none")
        #expect(merged["seed"] == .null)
        let module = try #require(merged["modules"]?[0])
        #expect(module.keys.starts(with: ["name", "rank_in", "rank_out", "discarded_energy", "frobenius"]))
        #expect(module["rank_in"]?.integer == 16)
        let shown = try #require(try scratch.json("show", "both")["adapter"])
        #expect(shown["state"]?.string == "pending")
        #expect(shown["source"]?.string == "merge")
        let parents = shown["lineage"]?.array?.filter { $0["direction"]?.string == "parent" } ?? []
        #expect(parents.compactMap { $0["reference"]?.string } == ["digits-01@1", "digits-23@1"])
        #expect(shown["recipe"]?["program"]?.string?.hasPrefix("lorabank ") == true)
        #expect(shown["tags"]?["made"]?[0]?.string == "")
    }

    @Test func `a merge of paths needs no bank and is the same on any number of threads`() throws {
        let scratch = try Scratch(bank: false)
        let paths = ["path:" + Tool.starter + "/digits-01", Tool.starter + "/digits-89"]
        for (threads, target) in [("1", "one"), ("2", "two"), ("4", "four.safetensors")] {
            let outcome = try scratch.tool.run(
                ["merge", "--method", "linear"] + paths + ["--to", target, "--threads", threads])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        let one = try scratch.contents(of: scratch.folder + "/one")
        #expect(
            Set(one.keys).isSuperset(of: [
                "adapter_config.json", "adapter_model.safetensors", "lorabank_provenance.json",
            ]))
        #expect(
            try scratch.contents(of: scratch.folder + "/two")["adapter_model.safetensors"]
                == one["adapter_model.safetensors"])
        #expect(
            FileManager.default.contents(atPath: scratch.folder + "/four.safetensors")
                == one["adapter_model.safetensors"])
        let again = try scratch.tool.run(["merge", "--method", "linear"] + paths + ["--to", "one"])
        #expect(again.status == 7)
        let nowhere = try scratch.tool.run(["merge", "--method", "linear"] + paths)
        #expect(nowhere.status == 2)
        #expect(nowhere.errors.contains("--to PATH"))
    }

    @Test func `wrong methods, parameters and recipes are named with a remedy`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let method = try scratch.run("merge", "--method", "tise", "digits-01", "digits-23", "--name", "x")
        #expect(method.status == 2)
        #expect(method.errors.contains("recipe.unknown_method"))
        #expect(method.errors.contains("did you mean 'ties'"))
        let parameter = try scratch.run(
            "merge", "--method", "ties", "digits-01", "digits-23", "--set", "density=1.5", "--name", "x")
        #expect(parameter.status == 2)
        #expect(parameter.errors.contains("recipe.bad_parameter"))
        let recipe = scratch.folder + "/r.yaml"
        try "merge_metod: ties\nmodels: [{model: a}]\n".write(toFile: recipe, atomically: true, encoding: .utf8)
        let key = try scratch.run("recipe", "validate", recipe)
        #expect(key.status == 2)
        #expect(key.errors.contains("line 1"))
        #expect(key.errors.contains("did you mean 'merge_method'"))
    }

    @Test func `recipes are validated, shown, locked, converted and described`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let recipes = try FileManager.default.contentsOfDirectory(atPath: Tool.package + "/recipes/merge")
            .filter { $0.hasSuffix(".yaml") }.sorted()
        #expect(recipes.count >= 4)
        for recipe in recipes { try scratch.succeed("recipe", "validate", Tool.package + "/recipes/merge/" + recipe) }
        let shown = try scratch.json("recipe", "show", Tool.package + "/recipes/merge/ties.yaml")
        #expect(shown["stages"]?[0]?["adapters"]?.array?.count == 2)
        try scratch.succeed("recipe", "lock", Tool.package + "/recipes/merge/ties.yaml", "--to", "locked.json")
        let locked = try scratch.json("recipe", "show", "locked.json")
        #expect(locked["recipe_sha"] == shown["recipe_sha"])
        #expect(try scratch.succeed("recipe", "methods").output.contains("tsv_m"))
        #expect(try scratch.succeed("recipe", "methods", "ties").output.contains("density"))
        #expect(try scratch.json("recipe", "methods")["methods"]?.array?.isEmpty == false)
        #expect(try scratch.json("recipe", "schema")["$schema"] != nil)
        try "{adapters: [a, b], weights: [1, 0.5], combination_type: linear}".write(
            toFile: scratch.folder + "/call.yml", atomically: true, encoding: .utf8)
        #expect(try scratch.succeed("recipe", "import", "--from", "peft", "call.yml").output.contains("compat: peft"))
    }

    @Test func `compare prints three matrices and advice with its grounds`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23", "digits-45")
        let document = try scratch.json("compare", "tag:set=starter")
        #expect(document.keys.starts(with: ["schema", "adapters", "cosine", "sign_conflict", "subspace_overlap"]))
        for key in ["cosine", "sign_conflict", "subspace_overlap"] {
            for row in 0..<3 {
                for column in 0..<3 {
                    let value = try #require(document[key]?[row]?[column]?.double)
                    #expect(value == document[key]?[column]?[row]?.double)
                    if row == column { #expect(abs(value - (key == "sign_conflict" ? 0 : 1)) < 1e-9) }
                    if key != "cosine" { #expect((0...1).contains(value)) }
                }
            }
        }
        #expect(document["adapters"]?.array?.compactMap(\.string) == ["digits-01@1", "digits-23@1", "digits-45@1"])
        let named = try scratch.json("compare", "digits-01", "digits-23@1")
        #expect(named["adapters"]?.array?.compactMap(\.string) == ["digits-01", "digits-23@1"])
        let text = try scratch.succeed("compare", "digits-01", "digits-23").output
        #expect(text.contains("advice"))
        #expect(text.contains("mean cosine"))
        #expect(try scratch.run("compare", "digits-01").status == 2)
    }

    @Test func `a report is one page that refers to nothing outside`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        try scratch.succeed("merge", "--method", "linear", "digits-01", "digits-23", "--name", "mean")
        try scratch.succeed("report", "--to", "report.html")
        let html = try String(contentsOfFile: scratch.folder + "/report.html", encoding: .utf8)
        for text in [
            "digits-01@1", "mean@1", "Provenance", "<svg", "Cosine of the updates", "prefers-color-scheme: dark",
        ] {
            #expect(html.contains(text), "\(text)")
        }
        #expect(!html.contains("src=\"http") && !html.contains("<link"))
        #expect(try scratch.run("report", "--to", "report.html").status == 7)
    }
}
