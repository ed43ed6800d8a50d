import Foundation
import Testing
import WeightFiles

/// `eval`, `backbone`, `data`, on the tiny suites of EvaluationTests.
@Suite struct EvalCommandTests {
    static let fixtures = Tool.package + "/Tests/EvaluationTests/Fixtures"
    static let digits = fixtures + "/digits"

    @Test func `eval prints the keys that programs rely on`() throws {
        let scratch = try Scratch(bank: false)
        let suite = Self.digits + "/suite.yaml"
        let task0 = Self.digits + "/task0"
        let document = try scratch.json(
            "eval", task0, "--suite", suite, "--backbone", "--oracle",
            "task0=\(task0),task1=path:\(Self.digits)/task1")
        #expect(document.keys.starts(with: ["schema", "suite", "n", "results"]))
        #expect(document["schema"]?.string == "lorabank.eval/1")
        #expect(document["suite"]?.string == "tiny-digits")
        #expect(document["n"]?.integer == 61)
        let rows = try #require(document["results"]?.array)
        #expect(rows.compactMap { $0["subject"]?.string } == ["backbone", task0, "oracle"])
        for row in rows {
            #expect(
                row.keys.starts(with: [
                    "subject", "acc_global", "acc_local", "correct_global", "correct_local", "per_task", "ci_low",
                    "ci_high",
                ]))
            #expect(row["per_task"]?.keys == ["task0", "task1"])
        }
        #expect(rows.compactMap { $0["correct_global"]?.integer } == [36, 19, 23])
        #expect(rows.compactMap { $0["correct_local"]?.integer } == [50, 30, 34])
        let accuracy = try #require(rows[0]["acc_global"]?.double)
        #expect(abs(accuracy - 36.0 / 61) < 1e-12)
        #expect(try #require(rows[0]["ci_low"]?.double) < accuracy)
        let comparison = try #require(document["comparisons"]?[0])
        #expect(comparison["first"]?.string == task0 && comparison["second"]?.string == "backbone")
    }

    @Test func `without references it is the backbone, and what is undefined is null`() throws {
        let scratch = try Scratch(bank: false)
        let document = try scratch.json(
            "eval", "--suite", Self.digits + "/suite.yaml", "--set", "tasks=[]", "--details")
        let row = try #require(document["results"]?[0])
        #expect(document["results"]?.array?.count == 1)
        #expect(row["subject"]?.string == "backbone")
        #expect(row["acc_local"] == .null && row["correct_local"] == .null)
        #expect(row["per_task"]?.keys == [])
        #expect(row["predictions"]?.array?.count == 61)
        #expect(row["confusion"]?.array?.count == 4)
        let table = try scratch.succeed("eval", "--suite", Self.digits + "/suite.yaml", "--tasks")
        #expect(table.output.contains("59.02"))
        #expect(table.output.contains("task1"))
    }

    @Test func `the starter backbone and its data go by their names, with and without a bank`() throws {
        for scratch in [try Scratch(bank: false), try Scratch()] {
            let shown = try scratch.json("backbone", "show", "starter")
            #expect(shown["backbone"]?["input"]?.string == "images 1×8×8")
            let data = try scratch.json("data", "show", "optdigits")
            #expect(data["data"]?["splits"]?["test"]?.integer == 359)
            try write(
                scratch, "starter.yaml",
                """
                name: starter
                backbone: starter
                data: { path: starter-digits }
                head: { ncm: train }
                """)
            let document = try scratch.json("eval", "--suite", "starter.yaml")
            #expect(try #require(document["results"]?[0]?["acc_global"]?.double) > 0.7)
        }
    }

    @Test func `pretrain makes a backbone, goes on after an interruption, and says what is wrong`() throws {
        let scratch = try Scratch(bank: false)
        try write(
            scratch, "tiny.yaml",
            """
            name: tiny
            image: { side: 8, levels: 16 }
            model: { patch: 4, width: 8, depth: 1, heads: 1, mlp_ratio: 1 }
            glyphs: { classes: 4 }
            train: { steps: 6, batch: 8 }
            probe: [\(Tool.package)/bank/starter/data]
            """)
        let document = try scratch.json("backbone", "pretrain", "tiny.yaml", "--to", "out/tiny")
        #expect(document["schema"]?.string == "lorabank.pretrain/1")
        #expect(document["steps"]?.integer == 6)
        #expect(document["probes"]?[0]?["test"]?.integer == 359)
        #expect(try scratch.succeed("backbone", "show", "out/tiny").output.contains("images 1×8×8"))
        let again = try scratch.run("backbone", "pretrain", "tiny.yaml", "--to", "out/tiny")
        #expect(again.status != 0 && again.errors.contains("--force"))
        let wrong = try scratch.run(
            "backbone", "pretrain", "tiny.yaml", "--to", "out/b", "--set", "train.step=3")
        #expect(wrong.status != 0 && wrong.errors.contains("steps"))
    }

    @Test func `names of the bank, tags, recipes, and results that are kept`() throws {
        let scratch = try Scratch()
        let backbone = try scratch.json("backbone", "import", Self.digits + "/backbone", "--name", "tiny")
        #expect(backbone["backbone"]?["layers"]?.integer == 2)
        try scratch.succeed("data", "import", Self.digits + "/data", "--name", "pixels", "--link")
        #expect(try scratch.json("data", "list")["data"]?[0]?["linked"]?.bool == true)
        #expect(try scratch.succeed("backbone", "show", "tiny").output.contains("images 1×8×8"))
        let shown = try scratch.json("data", "show", "pixels")
        #expect(shown["data"]?["splits"]?["test"]?.integer == 61)
        for task in ["task0", "task1"] {
            try scratch.succeed("import", Self.digits + "/" + task, "--tag", "task=" + task, "--tag", "set=tiny")
        }
        try write(
            scratch, "suite.yaml",
            """
            name: named
            backbone: tiny
            data: { path: pixels }
            input: { mean: 0.4, std: 0.3, scale: 16 }
            feature: cls
            normalize: l2
            head: { ncm: train, features: backbone, scale: 20 }
            """)
        try write(
            scratch, "sum.yaml",
            "merge_method: task_arithmetic\nmodels: [{ model: \"tag:set=tiny\" }]\nparameters: { lambda: 1.0 }\n"
                + "output: { rank: keep, dtype: f32 }\n")
        let document = try scratch.json(
            "eval", "tag:set=tiny", "--suite", "suite.yaml", "--recipe", "sum.yaml", "--oracle", "tag:task")
        let rows = try #require(document["results"]?.array)
        #expect(rows.compactMap { $0["subject"]?.string } == ["task0@1", "task1@1", "sum.yaml", "oracle"])
        #expect(rows.compactMap { $0["correct_global"]?.integer } == [19, 18, 17, 23])
        let none = try scratch.json(
            "eval", "--suite", "suite.yaml", "--recipe", "sum.yaml", "--recipe-set", "parameters.lambda=0")
        #expect(none["results"]?[0]?["correct_global"]?.integer == 36)

        let metrics = try #require(try scratch.json("show", "task0")["adapter"]?["metrics"]?.array)
        let global = try #require(metrics.first { $0["name"]?.string == "acc_global" })
        #expect(global["dataset"]?.string == "named" && global["split"]?.string == "test")
        #expect(global["n"]?.integer == 61)
        #expect(abs(try #require(global["value"]?.double) - 19.0 / 61) < 1e-12)
        #expect(global["ci_low"]?.double != nil && global["ci_high"]?.double != nil)
        #expect(try scratch.succeed("find", "acc_global>0.3").output.contains("task0@1"))
        try scratch.succeed("eval", "task1", "--suite", "suite.yaml", "--no-record")
        let rounded = try scratch.run("eval", "task1", "--suite", "suite.yaml", "--precision", "bf16", "--json")
        #expect(try rounded.json()["precision"]?.string == "bf16")
        #expect(rounded.errors.contains("not kept"))
        #expect(try scratch.json("show", "task1")["adapter"]?["metrics"]?.array?.count == 4)

        let compared = try scratch.json("compare", "task0", "task1")["metrics"]?.array
        #expect(compared?.compactMap { $0["adapter"]?.string }.contains("task1") == true)
        #expect(try scratch.succeed("compare", "task0", "task1").output.contains("acc_global on named (test)"))
        #expect(try scratch.succeed("show", "task0").output.contains("31.15 %"))
        let figures = try scratch.json("plot", "tag:set=tiny")["figures"]
        #expect(
            figures?.array?.compactMap(\.string) == [
                "acc-global-on-named-test", "acc-local-on-named-test", "accuracy-by-task-on-named-test",
            ])
        let bars = try scratch.succeed("plot", "task0,task1", "acc-global-on-named-test", "--format", "csv").output
        #expect(bars.contains("task0@1,31.147") && bars.contains("task1@1,29.508"))
        let map = try scratch.succeed(
            "plot", "tag:set=tiny", "accuracy-by-task-on-named-test", "--format", "vega-lite"
        ).output
        #expect(map.contains("\"row\": \"task1\", \"column\": \"task0@1\""))
        try scratch.succeed("report", "--to", "report.html")
        let report = try String(contentsOfFile: scratch.folder + "/report.html", encoding: .utf8)
        #expect(report.contains("<h2>Evaluation</h2>") && report.contains("acc_global on named (test)"))
        #expect(try scratch.run("plot", "task2").errors.contains("reference.not_found"))
        try scratch.succeed("check", "--read-data")
    }

    @Test func `data show writes a page with counts, hashes and samples`() throws {
        let scratch = try Scratch(bank: false)
        try scratch.succeed("data", "show", Self.digits + "/data", "--to", "digits.html")
        let digits = try String(contentsOfFile: scratch.folder + "/digits.html", encoding: .utf8)
        let shown = try scratch.json("data", "show", Self.digits + "/data")["data"]
        #expect(digits.contains(try #require(shown?["content"]?["test"]?.string)))
        #expect(shown?["counts"]?["test"]?.array?.compactMap(\.integer).reduce(0, +) == 61)
        #expect(digits.contains("<img src=\"data:image/png;base64,iVBORw0KGgo"))
        #expect(!digits.contains("src=\"http") && !digits.contains("href="))

        try FileManager.default.createDirectory(
            atPath: scratch.folder + "/words", withIntermediateDirectories: false)
        try write(
            scratch, "words/meta.json",
            "{\"classes\": [\"größe\", \"<b>数字\"], \"columns\": [\"text\", \"label\"]}")
        try write(scratch, "words/train.tsv", "how <i>big</i>\tgröße\n二 & 三\t<b>数字\nwie groß\tgröße\n")
        let document = try scratch.json("data", "show", "words", "--to", "words.html", "--samples", "1")
        #expect(document["path"]?.string == "words.html")
        let words = try String(contentsOfFile: scratch.folder + "/words.html", encoding: .utf8)
        #expect(words.contains("<td>&lt;b&gt;数字</td><td class=\"t\">二 &amp; 三</td>"))
        #expect(words.contains("<td>größe</td><td class=\"t\">how &lt;i&gt;big&lt;/i&gt;</td>"))
        #expect(!words.contains(">wie groß<") && !words.contains("<b>"))
        #expect(try scratch.run("data", "show", "words", "--to", "words.html").errors.contains("output.exists"))
        try scratch.succeed("data", "show", "words", "--to", "words.html", "--force")
    }

    @Test func `names of backbones are taken once`() throws {
        let scratch = try Scratch()
        let words = Self.fixtures + "/words/backbone"
        try scratch.succeed("backbone", "import", Self.digits + "/backbone", "--name", "tiny")
        try scratch.succeed("backbone", "import", Self.digits + "/backbone", "--name", "tiny")
        let other = try scratch.run("backbone", "import", words, "--name", "tiny")
        #expect(other.status == 7)
        #expect(other.errors.contains("--force"))
        try scratch.succeed("backbone", "import", words, "--name", "tiny", "--force")
        #expect(try scratch.json("backbone", "show", "tiny")["backbone"]?["family"]?.string == "bert")
        let dry = try scratch.json("backbone", "import", words, "--name", "other", "--dry-run")
        #expect(dry["backbone"]?["dry_run"]?.bool == true)
        #expect(try scratch.json("backbone", "list")["backbones"]?.array?.count == 1)
        #expect(try scratch.run("backbone", "import", Self.digits + "/data").status == 3)
        #expect(try scratch.run("data", "import", words).status != 0)
        #expect(try scratch.run("backbone", "show", "tny").errors.contains("did you mean 'tiny'?"))
        try scratch.succeed("audit", "verify")
    }

    @Test func `mistakes are named with their place`() throws {
        let scratch = try Scratch(bank: false)
        let suite = Self.digits + "/suite.yaml"
        try write(scratch, "odd.yaml", "name: x\nbackbon: y\n")
        let key = try scratch.run("eval", "--suite", "odd.yaml")
        #expect(key.status == 2)
        #expect(key.errors.contains("line 2, column 1") && key.errors.contains("did you mean 'backbone'?"))
        let unknown = try scratch.run("eval", "--suite", suite, "--set", "backbone=minlm")
        #expect(unknown.status == 6)
        #expect(unknown.errors.contains("lorabank backbone import PATH --name minlm"))
        let task = try scratch.run("eval", "--suite", suite, "--oracle", "tsk0=a")
        #expect(task.status == 2 && task.errors.contains("did you mean 'task0'"))
        let partly = try scratch.tool.run(["eval", "nowhere", Self.digits + "/task0", "--suite", suite, "--json"])
        #expect(partly.status == 6)
        #expect(try partly.json()["results"]?.array?.count == 1)
        let foreign = try scratch.run("eval", Self.fixtures + "/words/money", "--suite", suite)
        #expect(foreign.status == 5)
        #expect(foreign.errors.contains("error[backbone.adapter_mismatch]"))
    }

    private func write(_ scratch: Scratch, _ name: String, _ text: String) throws {
        try text.write(toFile: scratch.folder + "/" + name, atomically: true, encoding: .utf8)
    }
}
