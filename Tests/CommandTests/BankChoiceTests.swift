import Foundation
import Testing
import WeightFiles

@Suite struct BankChoiceTests {
    @Test func `global options may stand before the command`() throws {
        let scratch = try Scratch()
        try scratch.importStarter("mnist-01")
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
}
