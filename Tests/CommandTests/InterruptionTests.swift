import Foundation
import Testing
import WeightFiles

/// What is left after a command was ended from outside.
@Suite(.serialized) struct InterruptionTests {
    private static let commands = [
        ["import", Tool.starter, "--tag", "late"],
        ["merge", "--method", "tsv_m", "digits-01", "digits-23", "--name", "merged"],
        ["merge", "--method", "ties", "digits-01", "digits-23", "--name", "merged"],
    ]

    /// The bank is sound, and everything that was there before still is.
    private func checkSoundness(_ scratch: Scratch, _ what: String) throws {
        let check = try scratch.run("check", "--read-data", "--json")
        #expect(check.status == 0, "\(what): \(check.errors)")
        for name in ["digits-01", "digits-23"] {
            #expect(try scratch.run("inspect", name, "--json").status == 0, "\(what): \(name) is gone")
        }
    }

    @Test(arguments: commands)
    func `killed at random moments, a command leaves a sound bank`(command: [String]) throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let whole = try scratch.tool.run(command).seconds
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<4 {
            let moment = Double.random(in: 0.005...max(0.01, whole), using: &generator)
            let outcome = try scratch.tool.run(command + ["--json"], ending: .signal(SIGKILL, after: moment))
            try checkSoundness(scratch, "\(command[0]) killed after \(moment) s")
            guard outcome.status == 0 else { continue }
            let document = try outcome.json()
            let names =
                document["adapters"]?.array?.compactMap { $0["name"]?.string } ?? [
                    document["output"]?["name"]?.string ?? ""
                ]
            for name in names { #expect(try scratch.run("show", name).status == 0, "\(name) was reported as done") }
        }
    }

    /// Debug builds die at the n-th change of the file system when they are told to.
    @Test(arguments: [1, 2, 3, 5, 8, 13, 21, 34])
    func `dying after the n-th file-system call leaves a sound bank`(point: Int) throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        var tool = scratch.tool
        tool.environment["LORABANK_CRASH_AT"] = "\(point)"
        for command in [["import", Tool.starter + "/digits-45"], Self.commands[1]] {
            let outcome = try tool.run(command)
            #expect(outcome.status == -9 || outcome.status == 0)
            try checkSoundness(scratch, "\(command[0]) at point \(point)")
            if outcome.status == 0 { #expect(try scratch.json("list")["adapters"]?.array?.count ?? 0 >= 3) }
        }
    }

    @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
    func `a signal ends the program with its own status`(signal: Int32, status: Int32) throws {
        let scratch = try Scratch()
        try scratch.importStarter("digits-01", "digits-23")
        let command = ["merge", "--method", "ties", "digits-01", "digits-23", "--to", "out"]
        var seen: Set<Int32> = []
        for moment in [0.02, 0.05, 0.1, 0.2] {
            let outcome = try scratch.tool.run(command + ["--force"], ending: .signal(signal, after: moment))
            seen.insert(outcome.status)
            if outcome.status == status {
                let left = try FileManager.default.contentsOfDirectory(atPath: scratch.folder).filter {
                    $0.contains("lorabank-")
                }
                #expect(left.isEmpty, "left behind: \(left)")
            }
        }
        #expect(seen.isSubset(of: [0, status]), "\(seen)")
    }
}
