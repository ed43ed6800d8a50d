import Foundation
import Testing
import WeightFiles

/// `init`, `import`, `list`, `find`, `show`, `tag`, `untag`, `note`, `alias`, `rm`, `undo`, `status`, `check`, `gc`.
@Suite struct CatalogueCommandTests {
    private static let rowKeys = [
        "name", "version", "object", "state", "base_model", "rank_min", "rank_max", "modules", "parameters", "bytes",
        "dtype", "tags", "created_at",
    ]

    @Test func `import, list and show print the keys that programs rely on`() throws {
        let scratch = try Scratch()
        let imported = try scratch.json(
            "import", Tool.starter + "/digits-01", "--tag", "set=starter", "--tag", "reviewed")
        #expect(imported.keys.starts(with: ["schema", "adapters", "errors"]))
        #expect(imported["schema"]?.string == "lorabank.import/1")
        let adapter = try #require(imported["adapters"]?[0])
        let keys = [
            "name", "version", "object", "delta_id", "state", "base_model", "format", "findings", "already_present",
        ]
        #expect(adapter.keys.starts(with: keys))
        #expect(adapter["name"]?.string == "digits-01")
        #expect(adapter["base_model"]?.string == "starter")
        #expect(adapter["state"]?.string == "pending")
        #expect(adapter["already_present"]?.bool == false)

        let list = try scratch.json("list")
        let row = try #require(list["adapters"]?[0])
        #expect(row.keys.starts(with: Self.rowKeys))
        #expect(row["tags"]?.text(sortKeys: true) == "{\"reviewed\":[\"\"],\"set\":[\"starter\"]}")
        #expect(row["rank_min"]?.integer == 8 && row["rank_max"]?.integer == 8)
        #expect(row["modules"]?.integer == 8)
        #expect(row["parameters"]?.integer == 12_288)
        #expect(row["dtype"]?.string == "F32")
        #expect(row["created_at"]?.string?.hasSuffix("Z") == true)

        let show = try scratch.json("show", "digits-01")
        #expect(show.keys == ["schema", "adapter"])
        let detail = try #require(show["adapter"])
        #expect(detail.keys.starts(with: Self.rowKeys))
        let module = try #require(detail["module_list"]?[0])
        #expect(
            module.keys.starts(with: ["name", "d_out", "d_in", "rank", "scale", "frobenius", "sigma1", "stable_rank"]))
        #expect(module["name"]?.string == "blocks.0.attn.proj")
        #expect(module["scale"]?.double == 2)
        let sigma = try #require(module["sigma1"]?.double)
        let norm = try #require(module["frobenius"]?.double)
        #expect(sigma > 0 && norm >= sigma)
        for key in ["lineage", "metrics", "findings"] { #expect(detail[key]?.array?.isEmpty == true) }
    }

    @Test func `the same content again is no second object, other content is the next version`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01")
        let again = try scratch.json("import", Tool.starter + "/digits-01")
        #expect(again["adapters"]?[0]?["already_present"]?.bool == true)
        let renamed = try scratch.json("import", Tool.starter + "/digits-01", "--name", "other")
        #expect(renamed["adapters"]?[0]?["already_present"]?.bool == true)
        let next = try scratch.json("import", Tool.starter + "/digits-23", "--name", "digits-01")
        #expect(next["adapters"]?[0]?["version"]?.integer == 2)
        #expect(try scratch.json("status")["objects"]?.integer == 2)
        #expect(try scratch.json("list")["adapters"]?.array?.count == 3)
    }

    @Test func `a folder of adapters is imported whole, failures are reported and the rest goes on`() throws {
        let scratch = try Scratch()
        let bad = scratch.folder + "/bad"
        try FileManager.default.createDirectory(atPath: bad, withIntermediateDirectories: true)
        try "{'r': 8}".write(toFile: bad + "/adapter_config.json", atomically: true, encoding: .utf8)
        let outcome = try scratch.run("import", bad, Tool.starter, "nowhere", "--json")
        #expect(outcome.status == 3)
        let document = try outcome.json()
        #expect(document["adapters"]?.array?.count == 5)
        #expect(document["errors"]?.array?.count == 2)
        #expect(document["errors"]?[0]?.keys.starts(with: ["path", "code", "exit", "message"]) == true)
        #expect(
            Set(document["errors"]?.array?.compactMap { $0["code"]?.string } ?? []) == [
                "io.not_found", "config.not_json",
            ])
        #expect(outcome.errors.split(separator: "\n").allSatisfy { $0.hasPrefix("{\"schema\":\"lorabank.error/1\"") })
        let several = try scratch.run("import", Tool.starter, "--name", "one")
        #expect(several.status == 2)
    }

    @Test func `tags, notes and aliases are set, found, moved and reverted`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        try scratch.succeed("tag", "tag:set=starter", "task=digits", "数=零")
        #expect(try scratch.json("list", "--tag", "数=零")["adapters"]?.array?.count == 2)
        try scratch.succeed("untag", "digits-23", "task")
        #expect(try scratch.json("find", "task:digits")["adapters"]?[0]?["name"]?.string == "digits-01")
        #expect(try scratch.json("find", "task:digits")["adapters"]?.array?.count == 1)
        try scratch.succeed("undo")
        #expect(try scratch.json("list", "--tag", "task=digits")["adapters"]?.array?.count == 2)
        try scratch.succeed("note", "digits-01", "looks \u{1B}[31mred")
        let shown = try scratch.succeed("show", "digits-01").output
        #expect(!shown.contains("\u{1B}"))
        #expect(shown.contains("\\u{1B}[31mred"))
        try scratch.succeed("alias", "digits-01@1", "stable")
        #expect(try scratch.json("show", "digits-01:stable")["adapter"]?["version"]?.integer == 1)
        try scratch.succeed("alias", "--remove", "digits-01:stable")
        #expect(try scratch.run("show", "digits-01:stable").status == 6)
        let wrong = try scratch.run("show", "digits-10")
        #expect(wrong.status == 6)
        #expect(wrong.errors.contains("did you mean 'digits-01'"))
        #expect(try scratch.run("find", "rnak<=8").status == 2)
        #expect(try scratch.run("list", "--sort", "sise").status == 2)
    }

    @Test func `removal asks, is undone, and is final after gc`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let unasked = try scratch.run("rm", "digits-01")
        #expect(unasked.status == 2)
        #expect(unasked.errors.contains("usage.needs_answer"))
        #expect(unasked.errors.contains("--yes"))
        #expect(try scratch.json("list")["adapters"]?.array?.count == 2)
        try scratch.succeed("rm", "digits-01", "--yes")
        #expect(try scratch.json("list")["adapters"]?.array?.count == 1)
        try scratch.succeed("undo")
        #expect(try scratch.json("list")["adapters"]?.array?.count == 2)
        try scratch.succeed("rm", "digits-01", "--yes")
        #expect(try scratch.run("gc", "--prune").status == 2)
        #expect(try scratch.json("gc", "--prune", "--yes")["pruned"]?.integer == 1)
        let check = try scratch.json("check", "--read-data")
        #expect(check["sound"]?.bool == true)
        #expect(check["objects"]?.integer == 1)
    }

    @Test func `names of any language survive, and columns stay aligned`() throws {
        let scratch = try Scratch()
        try scratch.succeed("import", Tool.starter + "/digits-01", "--name", "数字/ゼロ", "--tag", "größe=klein")
        let document = try scratch.run("list", "--json").output
        #expect(try StrictJSON.parse(document, .configuration)["adapters"]?[0]?["name"]?.string == "数字/ゼロ")
        let table = try scratch.succeed("list").output.split(separator: "\n")
        #expect(table.count == 2)
        #expect(table[1].hasPrefix("数字/ゼロ@1  pending"))
        #expect(table[0].hasPrefix("NAME         STATE"))
        #expect(try scratch.json("show", "数字/ゼロ")["adapter"]?["tags"]?["größe"]?[0]?.string == "klein")
        try scratch.succeed("export", "数字/ゼロ", "--to", "aus gabe/ö")
        #expect(FileManager.default.fileExists(atPath: scratch.folder + "/aus gabe/ö/adapter_config.json"))
    }

    @Test(arguments: [
        ["tag", "digits-01", "x=1"], ["untag", "digits-01", "set"], ["note", "digits-01", "text"],
        ["alias", "digits-01", "a"],
        ["rm", "digits-01"], ["approve", "digits-01", "--reason", "r"], ["reject", "digits-01", "--reason", "r"],
        ["import", Tool.starter + "/digits-23"], ["export", "digits-01", "--to", "out"], ["gc", "--prune"],
        ["merge", "--method", "linear", "digits-01", "digits-01", "--name", "m"], ["report", "--to", "r.html"],
        ["init", "second"], ["undo"],
        ["recipe", "lock", Tool.package + "/recipes/merge/linear.yaml", "--to", "l.json"],
        ["export", Tool.starter + "/digits-23", "--to", "out"],
    ])
    func `a dry run says would and writes nothing`(command: [String]) throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01")
        let before = try scratch.contents(of: scratch.folder)
        let outcome = try scratch.tool.run(command + ["--dry-run"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("would "))
        #expect(try scratch.contents(of: scratch.folder) == before)
    }

    @Test func `progress for programs is one JSON object per line, and quiet leaves results only`() throws {
        let scratch = try Scratch()
        let outcome = try scratch.run("import", Tool.starter, "--progress", "json")
        let lines = outcome.errors.split(separator: "\n")
        #expect(!lines.isEmpty)
        for line in lines {
            #expect(try StrictJSON.parse(String(line), .configuration)["schema"]?.string == "lorabank.progress/1")
        }
        let merge = ["merge", "--method", "linear", "digits-01", "digits-23", "--name", "m"]
        #expect(try scratch.tool.run(merge).errors.contains("note: "))
        let quiet = try scratch.tool.run(merge + ["--quiet"])
        #expect(quiet.errors.isEmpty)
        #expect(!quiet.output.isEmpty)
        try scratch.succeed("list", "--log-file", "log.jsonl")
        let missing = try scratch.run("show", "nobody", "--log-file", "log.jsonl")
        #expect(missing.status == 6)
        let log = try String(contentsOfFile: scratch.folder + "/log.jsonl", encoding: .utf8)
        #expect(try StrictJSON.parse(log, .configuration)["code"]?.string == "reference.not_found")
    }

    @Test func `damage is found, named and ends with status 9`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let objects = scratch.folder + "/bank/objects"
        let paths = try FileManager.default.subpathsOfDirectory(atPath: objects).filter { $0.hasSuffix(".tar") }
            .sorted()
        let victim = objects + "/" + (try #require(paths.first))
        var bytes = try #require(FileManager.default.contents(atPath: victim))
        bytes[bytes.count / 2] ^= 1
        chmod(victim, 0o644)
        try bytes.write(to: URL(filePath: victim))
        let found = try scratch.run("check", "--read-data", "--json")
        #expect(found.status == 9)
        #expect(try found.json()["problems"]?[0]?["code"]?.string == "bank.object_digest")
        try FileManager.default.removeItem(atPath: victim)
        let missing = try scratch.run("check")
        #expect(missing.status == 9)
        #expect(missing.errors.contains("bank.object_missing"))
    }
}
