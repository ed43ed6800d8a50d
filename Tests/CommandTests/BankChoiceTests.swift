import Foundation
import Testing
import WeightFiles

@Suite struct BankChoiceTests {
    @Test func `global options may stand before the command`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01")
        for arguments in [
            ["--bank", "bank", "--json", "list"], ["--bank=bank", "list", "--json"], ["-q", "list", "--json"],
        ] {
            let outcome = try scratch.tool.run(arguments)
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try outcome.json()["adapters"]?.array?.count == 1)
        }
    }

    @Test func `the bank comes from the option, the variable, or a folder above`() throws {
        let scratch = try Scratch()
        let below = scratch.folder + "/a/b"
        try FileManager.default.createDirectory(atPath: below, withIntermediateDirectories: true)
        var tool = Tool(folder: below)
        #expect(try tool.run(["status"]).status == 0)
        tool.environment["LORABANK_BANK"] = scratch.folder + "/missing"
        #expect(try tool.run(["status"]).status == 6)
        #expect(try tool.run(["status", "--bank", scratch.folder + "/bank"]).status == 0)
        let settings = try tool.run(["status", "--settings", "--json", "--bank", scratch.folder + "/bank"]).json()
        #expect(settings["settings"]?[0]?["origin"]?.string == "option")
    }

    @Test func `a user's file gives defaults, and its mistakes are named`() throws {
        let scratch = try Scratch()
        let file = scratch.folder + "/.config/lorabank/config.toml"
        try FileManager.default.createDirectory(
            atPath: scratch.folder + "/.config/lorabank", withIntermediateDirectories: true)
        try "bank = \"\(scratch.folder)/bank\"\nthreads = 3\n".write(toFile: file, atomically: true, encoding: .utf8)
        var tool = Tool(folder: "/")
        tool.environment["HOME"] = scratch.folder
        let settings = try tool.run(["status", "--settings", "--json"]).json()
        #expect(settings["settings"]?[0]?["origin"]?.string == "user file")
        #expect(settings["settings"]?[1]?["value"]?.string == "3")
        tool.environment["LORABANK_THREADS"] = "2"
        #expect(try tool.run(["status", "--settings", "--json"]).json()["settings"]?[1]?["value"]?.string == "2")
        try "thraeds = 3\n".write(toFile: file, atomically: true, encoding: .utf8)
        let wrong = try tool.run(["status"])
        #expect(wrong.status == 2)
        #expect(wrong.errors.contains("did you mean 'threads'"))
    }

    @Test func `a bank on a read-only file system can be read, and refuses changes`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01")
        let bank = scratch.folder + "/bank"
        let folders = try FileManager.default.subpathsOfDirectory(atPath: bank).map { bank + "/" + $0 } + [bank]
        for path in folders { chmod(path, path.hasSuffix(".tar") || path.hasSuffix(".toml") ? 0o444 : 0o555) }
        defer { for path in folders { chmod(path, 0o755) } }
        #expect(try scratch.json("list")["adapters"]?.array?.count == 1)
        guard geteuid() != 0 else { return }
        #expect(try scratch.run("tag", "digits-01", "x").status == 10)
    }
}
