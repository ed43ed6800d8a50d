import Foundation
import Testing
import WeightFiles

/// `inspect`, `approve`, `reject`, `revoke`, `audit`, `export`.
@Suite struct TrustCommandTests {
    @Test func `inspect takes names, folders and files, with and without a bank`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01")
        for subject in ["digits-01", Tool.starter + "/digits-01", "path:" + Tool.starter + "/digits-01"] {
            let document = try scratch.json("inspect", subject)
            #expect(document.keys == ["schema", "reports"])
            let report = try #require(document["reports"]?[0])
            #expect(report["verdict"]?.string == "clean")
            #expect(report["modules"]?.array?.count == 8)
            #expect(report["error"] == .null)
        }
        let bare = try Scratch(bank: false)
        let file = try bare.json("inspect", Tool.starter + "/digits-01/adapter_model.safetensors")
        #expect(file["reports"]?[0]?["findings"]?[0]?["code"]?.string == "config.assumed")
        #expect(file["reports"]?[0]?["findings"]?[0]?["level"]?.string == "info")
        let missing = try bare.run("inspect", "nothing.safetensors")
        #expect(missing.status == 6)
        #expect(missing.errors.contains("error[io.not_found]"))
        #expect(try bare.run("inspect", "tag:x").errors.contains("error[bank.missing]"))
        let refused = try bare.run("import", Tool.starter + "/digits-01/adapter_model.safetensors")
        #expect(refused.status == 6)
        #expect(
            try scratch.run("import", Tool.starter + "/digits-01/adapter_model.safetensors").errors.contains(
                "config.missing"))
        try scratch.succeed(
            "import", Tool.starter + "/digits-01/adapter_model.safetensors", "--alpha", "16", "--base", "starter",
            "--name", "bare")
        let whole = try scratch.json("show", "digits-01")
        let bareShow = try scratch.json("show", "bare")
        #expect(whole["adapter"]?["delta_id"] == bareShow["adapter"]?["delta_id"])
    }

    @Test func `decisions follow the states, and the audit log tells them`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        #expect(try scratch.run("approve", "digits-01").status == 2)
        let approved = try scratch.json("approve", "digits-01", "--reason", "tested")
        #expect(approved["adapters"]?[0]?["state"]?.string == "approved")
        #expect(try scratch.run("approve", "digits-01", "--reason", "again").status == 7)
        try scratch.succeed("reject", "digits-23", "--reason", "origin")
        #expect(try scratch.run("export", "digits-23", "--to", "no").status == 8)
        try scratch.succeed("reject", "digits-23", "--reopen", "--reason", "found")
        let mixed = try scratch.run("approve", "nobody", "digits-23", "--reason", "both", "--json")
        #expect(mixed.status == 6)
        #expect(try mixed.json()["adapters"]?.array?.count == 1)
        try scratch.succeed("revoke", "digits-01", "--reason", "poisoned")
        let refused = try scratch.run("merge", "--method", "linear", "digits-01", "digits-23", "--to", "out")
        #expect(refused.status == 8)
        #expect(refused.errors.contains("policy.revoked"))
        #expect(!FileManager.default.fileExists(atPath: scratch.folder + "/out"))
        let log = try scratch.json("audit", "log")
        let actions = log["entries"]?.array?.compactMap { $0["action"]?.string } ?? []
        #expect(actions.filter { $0 == "approve" }.count == 2)
        let head = try scratch.succeed("audit", "head").output.trimmingCharacters(in: .whitespacesAndNewlines)
        try scratch.succeed("audit", "verify", "--expect", head)
        let wrong = try scratch.run("audit", "verify", "--expect", "1:" + String(repeating: "0", count: 64))
        #expect(wrong.status == 9)
        #expect(wrong.errors.contains("bank.audit_chain"))
    }

    @Test func `policy strict wants an approval, or a recorded exception`() throws {
        let scratch = try Scratch(policy: "strict")
        try scratch.importStarter("digits-01", "digits-23")
        let merge = ["merge", "--method", "linear", "digits-01", "digits-23", "--name", "sum"]
        let refused = try scratch.tool.run(merge)
        #expect(refused.status == 8)
        #expect(refused.errors.contains("lorabank approve"))
        let allowed = try scratch.tool.run(merge + ["--allow-unapproved"])
        #expect(allowed.status == 0, "\(allowed.errors)")
        let actions = try scratch.json("audit", "log")["entries"]?.array?.compactMap { $0["action"]?.string } ?? []
        #expect(actions.filter { $0 == "use_unapproved" }.count == 2)
        #expect(try scratch.run("compare", "digits-01", "digits-23").status == 0)
        try scratch.succeed("approve", "tag:set=starter", "--reason", "tested")
        let merged = try scratch.tool.run(merge)
        #expect(merged.status == 0, "\(merged.errors)")
    }

    @Test func `revoking a parent names what was made from it`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        try scratch.succeed("approve", "tag:set=starter", "--reason", "tested")
        try scratch.succeed("merge", "--method", "linear", "digits-01", "digits-23", "--name", "child")
        let revoked = try scratch.run("revoke", "digits-01", "--reason", "bad data")
        #expect(revoked.status == 0)
        #expect(revoked.errors.contains("'child@1'"))
    }

    @Test func `an export has the bytes that came in and replaces nothing unasked`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-45")
        let outcome = try scratch.run("export", "digits-45", "--to", "out/digits-45", "--json")
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("pending"))
        let original = try scratch.contents(of: Tool.starter + "/digits-45")
        #expect(try scratch.contents(of: scratch.folder + "/out/digits-45") == original)
        #expect(try scratch.run("export", "digits-45", "--to", "out/digits-45").status == 7)
        try scratch.succeed("export", "digits-45", "--to", "out/digits-45", "--force")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder + "/out") == ["digits-45"])
    }

    @Test func `an adapter outside the bank is exported in the standard form`() throws {
        let scratch = try Scratch(bank: false)
        try scratch.succeed("export", Tool.starter + "/digits-45", "--to", "out")
        let compared = try scratch.json("compare", "path:out", Tool.starter + "/digits-45")
        #expect(compared["cosine"]?[0]?[1]?.double ?? 0 > 1 - 1e-9)
        #expect(try scratch.run("export", "nobody", "--to", "out2").status == 6)
    }

    @Test func `foreign text reaches the terminal escaped`() throws {
        let scratch = try Scratch(bank: false)
        let folder = scratch.folder + "/evil\u{1B}[2J"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try "{\"peft_type\": \"X\u{202E}\", \"r\": 1}".write(
            toFile: folder + "/adapter_config.json", atomically: true, encoding: .utf8)
        let outcome = try scratch.run("inspect", folder)
        #expect(outcome.status != 0)
        for text in [outcome.output, outcome.errors] {
            #expect(!text.contains("\u{1B}") && !text.contains("\u{202E}"))
        }
        #expect(outcome.output.contains("evil\\u{1B}[2J"))
    }
}
