import Foundation
import Testing
import WeightFiles

@testable import lorabank

@Suite struct ShellTests {
    @Test func `the version starts at once`() throws {
        let scratch = try Scratch(bank: false)
        let outcome = try scratch.succeed("--version")
        #expect(outcome.output == LoRABank.version + "\n")
        #expect(outcome.seconds < 0.5)
        #expect(try scratch.succeed("version").output == "lorabank \(LoRABank.version)\n")
    }

    @Test(arguments: [
        (["lsit"], "unknown command 'lsit'", "did you mean 'list'"),
        (["audit", "verfy"], "unknown command 'audit verfy'", "did you mean 'verify'?"),
        (["list", "--jsno"], "unknown option '--jsno'", "did you mean '--json'"),
        (["export", "a"], "missing expected argument '--to <path>'", "begins with an example"),
        (["list", "--threads", "0"], "--threads takes", nil), (["alias", "x"], "give an alias", nil),
    ])
    func `a wrong command line ends with status 2, a code and a hint`(
        arguments: [String], message: String, hint: String?
    ) throws {
        let scratch = try Scratch(bank: false)
        let outcome = try scratch.tool.run(arguments)
        #expect(outcome.status == 2)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("error[usage.bad_argument]: "))
        #expect(outcome.errors.contains(message))
        if let hint { #expect(outcome.errors.contains(hint)) }
    }

    @Test func `with json, errors are one document on stderr`() throws {
        let scratch = try Scratch(bank: false)
        for arguments in [["list", "--json"], ["--json", "list"], ["show", "x", "--json", "--bank", "nowhere"]] {
            let outcome = try scratch.tool.run(arguments)
            #expect(outcome.status == 6)
            #expect(outcome.output.isEmpty)
            let document = try StrictJSON.parse(outcome.errors, .configuration)
            #expect(document.keys == ["schema", "error"])
            #expect(document["schema"]?.string == "lorabank.error/1")
            #expect(document["error"]?.keys == ["code", "class", "exit", "message", "path", "details", "hint"])
            #expect(document["error"]?["code"]?.string == "bank.missing")
            #expect(document["error"]?["exit"]?.integer == 6)
        }
    }

    @Test func `a closed pipe ends the program silently`() throws {
        let scratch = try Scratch(bank: false)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        let outcome = try scratch.tool.run(["errors"], standardOutput: ends[1])
        close(ends[1])
        #expect(outcome.status == 141)
        #expect(outcome.errors.isEmpty)
    }

    @Test func `colour only where it is wanted`() throws {
        let scratch = try Scratch(bank: false)
        var tool = scratch.tool
        #expect(!(try tool.run(["list"]).errors.contains("\u{1B}")))
        #expect(try tool.run(["list", "--color", "always"]).errors.contains("\u{1B}[1;31merror"))
        tool.environment = ["CLICOLOR_FORCE": "1"]
        #expect(try tool.run(["list"]).errors.contains("\u{1B}[1;31merror"))
        #expect(!(try tool.run(["list", "--color", "never"]).errors.contains("\u{1B}")))
    }

    @Test func `error pages are listed, shown and searched`() throws {
        let scratch = try Scratch(bank: false)
        let all = try scratch.json("errors")
        #expect((all["errors"]?.array?.count ?? 0) > 100)
        #expect(try scratch.succeed("errors", "archive.bomb").output.contains("remedy"))
        let wrong = try scratch.run("errors", "archive.bom")
        #expect(wrong.status == 2)
        #expect(wrong.errors.contains("did you mean 'archive.bomb'?"))
    }

    @Test func `doctor tells about pinned kernels`() throws {
        let scratch = try Scratch(bank: false)
        var tool = scratch.tool
        tool.environment = ["OPENBLAS_CORETYPE": "Haswell"]
        let outcome = try tool.run(["doctor"])
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("warning: OPENBLAS_CORETYPE=Haswell"))
        #expect(try scratch.json("doctor")["blas_core"]?.string?.isEmpty == false)
    }

    @Test(arguments: [(Int32(3), Int32(4), Int32(4)), (4, 3, 4), (0, 2, 2), (5, 1, 1), (6, 9, 9), (0, 0, 0)])
    func `the worst failure decides the status`(a: Int32, b: Int32, worst: Int32) {
        #expect(ExitStatus.worse(a, b) == worst)
    }
}
