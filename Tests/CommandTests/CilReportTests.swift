import Foundation
import Testing

/// A run directory made by hand: three tasks, no training.
enum SampleRun {
    static let files = [
        "metrics.json": """
        {"structure": "parallel", "rule": "ta", "seed": 0, "tasks": 3, "last": 0.6, "avg_incremental": 0.8,
         "forgetting": 0.1, "bwt": -0.1, "fwt": null, "leaky": false,
         "heads": {"linear": {"last": 0.6, "avg_incremental": 0.8, "forgetting": 0.1},
                   "ncm": {"last": 0.7, "avg_incremental": 0.85, "forgetting": 0.05}}}
        """,
        "config.resolved.json": "{\"name\": \"sample <run>\", \"structure\": \"parallel\"}",
        "accuracy_matrix.csv": "after_task,task_0,task_1,task_2\n0,0.9,,\n1,0.8,0.7,\n2,0.7,0.6,0.5\n",
        "curve.csv": "after_task,acc_seen,acc_task_mean\n0,0.9,0.9\n1,0.75,0.75\n2,0.6,0.6\n",
        "ablations.csv": "after_task,moment,view,split,task,accuracy,count\n0,pre,combined,val,0,0.9,10\n"
            + "0,pre,slow_only,val,0,0.5,10\n1,post,combined,val,0,0.8,10\n1,post,combined,val,1,0.6,10\n",
        "experts.csv": "after_task,expert,learning_rate,accuracy,loss,norm,count,standard_error,winner\n"
            + "0,0,0.001,0.9,0.3,1,20,0.06,1\n0,1,0.0005,0.85,0.4,1,20,0.07,0\n",
        "confusion.csv": "true,predicted,count\n0,0,5\n0,1,5\n1,1,10\n",
        "spectra.csv":
            "slot,task,site,index,sigma,norm,effective_rank,stable_rank,energy\nslow,2,L0.qkv,0,1.5,1.6,1.2,1.1,0.9\n"
            + "slow,2,L0.qkv,1,0.5,1.6,1.2,1.1,1\n",
        "overlap.csv": "a,b,site,cosine,left_overlap,right_overlap,share_inside,sign_agreement,conflict_mass\n"
            + "fast@0,fast@1,all,0.1,0.2,0.3,0.4,0.5,0.4\n",
        "invariants.jsonl": "{\"task\":0,\"id\":\"I1\",\"pass\":true,\"value\":0,\"tolerance\":0,\"note\":\"zero\"}\n",
        "events.jsonl": "{\"event\":\"epoch\",\"task\":0,\"slot\":\"fast[0]\",\"epoch\":0,\"loss\":0.5}\n",
    ]

    static func write(to folder: String, leavingOut out: String? = nil) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, text) in files where name != out {
            try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
        }
    }
}

@Suite struct CilReportTests {
    @Test func `a run directory becomes a page, a text and figures`() throws {
        let scratch = try Scratch(bank: false)
        let run = scratch.folder + "/run"
        try SampleRun.write(to: run)
        let document = try scratch.json("cil", "report", run)
        let figures = (document["figures"]?.array ?? []).compactMap(\.string)
        #expect(figures.contains("accuracy-matrix") && figures.contains("winner-and-validation-accuracy"))
        #expect(figures.contains("singular-values-l0-qkv") && figures.contains("cosine"))
        let html = try String(contentsOfFile: run + "/report.html", encoding: .utf8)
        #expect(html.contains("sample &lt;run&gt;") && !html.contains("sample <run>"))
        #expect(html.contains("One seed") && !html.contains("http://") || html.contains("http://www.w3.org/2000/svg"))
        let markdown = try String(contentsOfFile: run + "/report.md", encoding: .utf8)
        #expect(markdown.contains("| last | 60.00 |") && markdown.contains("(figures/accuracy-matrix.svg)"))
        for name in figures {
            for ending in ["svg", "csv", "vl.json"] {
                #expect(FileManager.default.fileExists(atPath: "\(run)/figures/\(name).\(ending)"))
            }
        }
    }

    @Test func `several seeds give means, and parts that are missing are left out`() throws {
        let scratch = try Scratch(bank: false)
        for seed in 0..<3 { try SampleRun.write(to: scratch.folder + "/runs/seed-\(seed)", leavingOut: "experts.csv") }
        let document = try scratch.json("cil", "report", scratch.folder + "/runs")
        let figures = (document["figures"]?.array ?? []).compactMap(\.string)
        #expect(figures.contains("accuracy-matrix-mean-over-seeds"))
        #expect(!figures.contains("winner-and-validation-accuracy"))
    }

    @Test func `plot lists figures and writes one, and knows the nearest name`() throws {
        let scratch = try Scratch(bank: false)
        let run = scratch.folder + "/run"
        try SampleRun.write(to: run)
        let names = try scratch.run("plot", run).output
        #expect(names.contains("accuracy-matrix\n"))
        let csv = try scratch.run("plot", run, "accuracy-matrix", "--format", "csv").output
        #expect(csv.hasPrefix("row,column,value\nafter task 0,task 0,90\nafter task 0,task 1,\n"))
        let failure = try scratch.run("plot", run, "acuracy-matrix")
        #expect(failure.status == 6 && failure.errors.contains("accuracy-matrix"))
        #expect(try scratch.run("cil", "report", scratch.folder + "/nothing").status == 6)
    }

    @Test func `an unfinished study makes its table of what is there`() throws {
        let scratch = try Scratch(bank: false)
        let run = scratch.folder + "/study"
        for (name, last) in [("backbone", 0.5), ("chain_ta", 0.6)] {
            let folder = "\(run)/runs/\(name)/seed-0"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let text = "{\"heads\": {\"linear\": {\"last\": \(last), \"avg_incremental\": 0.7, \"forgetting\": 0.1}}}"
            try text.write(toFile: folder + "/result.json", atomically: true, encoding: .utf8)
        }
        let document = try scratch.json("cil", "study", "2x2", "--run", run, "--collect", "--seeds", "1")
        #expect(document["schema"]?.string == "lorabank.cil-study/1")
        let chain = try #require(document["settings"]?.array?.first { $0["name"]?.string == "chain/ta" })
        let difference = chain["heads"]?["linear"]?["last_minus_backbone"]
        #expect(abs(try #require(difference?["mean"]?.double) - 0.1) < 1e-9)
        #expect(difference?["clear"]?.bool == false)
        #expect(FileManager.default.fileExists(atPath: run + "/report.html"))
    }

    @Test func `a study runs what is missing and nothing twice`() throws {
        let scratch = try Scratch(bank: false)
        let run = scratch.folder + "/study"
        let head = "head={kind: linear, also: [ncm], refit_epochs: 1}"
        let config = Tool.package + "/recipes/cil/chain.yaml"
        let document = try scratch.json(
            "cil", "study", "2x2", "--run", run, "--config", config, "--seeds", "1", "--only", "chain/ta", "--set",
            "epochs=1", "--set", "data.train_per_class=12", "--set", head)
        #expect(
            document["settings"]?.array?.compactMap { $0["name"]?.string } == ["backbone", "joint", "chain/ta"])
        let path = run + "/runs/chain_ta/seed-0/result.json"
        let first = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
        try FileManager.default.removeItem(atPath: run + "/runs/joint/seed-0/result.json")
        _ = try scratch.json(
            "cil", "study", "2x2", "--run", run, "--config", config, "--seeds", "1", "--only", "chain/ta", "--set",
            "epochs=1", "--set", "data.train_per_class=12", "--set", head)
        #expect(FileManager.default.fileExists(atPath: run + "/runs/joint/seed-0/result.json"))
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date == first)
        let wrong = try scratch.run("cil", "study", "2x2", "--run", run, "--only", "chain/tsv")
        #expect(wrong.status == 2)
    }

    @Test func `every configuration that ships is read`() throws {
        let scratch = try Scratch(bank: false)
        let folder = Tool.package + "/recipes/cil"
        for place in [folder, folder + "/study"] {
            for name in try FileManager.default.contentsOfDirectory(atPath: place).sorted()
            where name.hasSuffix(".yaml") {
                let outcome = try scratch.run("cil", "run", "\(place)/\(name)", "--run", "out", "--dry-run")
                #expect(outcome.status == 0, "\(name): \(outcome.errors)")
            }
        }
    }
}
