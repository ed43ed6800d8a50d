import Foundation
import Testing
import WeightFiles

/// Runs the built program as a user would.
struct Tool: Sendable {
    struct Outcome: Sendable {
        var status: Int32
        var output: String
        var errors: String
        var seconds: Double
        /// Peak resident memory, sampled every 2 ms.
        var peakBytes: Int

        /// Standard output as one JSON document.
        func json(sourceLocation: SourceLocation = #_sourceLocation) throws -> JSONValue {
            try StrictJSON.parse(output, .configuration)
        }
    }

    /// The program beside the test bundle.
    static let path: String = {
        let bundle =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(filePath: bundle).deletingLastPathComponent().appending(path: "lorabank").path
    }()

    /// The folder that holds Package.swift.
    static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    static let starter = package + "/bank/starter/adapters"

    /// A folder of the test's own; removed with `Scratch`.
    var folder: String
    var environment: [String: String] = [:]

    enum Ending {
        case waits
        /// SIGKILL, SIGINT, … after so many seconds.
        case signal(Int32, after: Double)
    }

    /// - Parameters:
    ///   - standardOutput: a descriptor that replaces the captured output.
    ///   - limit: seconds until the process is killed; then the status is -9.
    func run(
        _ arguments: [String], standardOutput: Int32? = nil, ending: Ending = .waits, limit: Double = 60
    ) throws -> Outcome {
        let output = folder + "/.output-\(UUID().uuidString)"
        let errors = folder + "/.errors-\(UUID().uuidString)"
        defer {
            unlink(output)
            unlink(errors)
        }
        let began = DispatchTime.now().uptimeNanoseconds
        let process = try spawn(arguments, output: output, errors: errors, standardOutput: standardOutput)
        var peak = 0
        var status: Int32 = 0
        while true {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process { break }
            peak = max(peak, Tool.peakBytes(of: process))
            let seconds = Double(DispatchTime.now().uptimeNanoseconds - began) / 1e9
            if case .signal(let number, let after) = ending, seconds >= after { kill(process, number) }
            if seconds > limit { kill(process, SIGKILL) }
            usleep(2_000)
        }
        let signalled = status & 0x7F
        return Outcome(
            status: signalled == 0 ? (status >> 8) & 0xFF : -signalled, output: Tool.text(output),
            errors: Tool.text(errors),
            seconds: Double(DispatchTime.now().uptimeNanoseconds - began) / 1e9, peakBytes: peak)
    }

    private func spawn(_ arguments: [String], output: String, errors: String, standardOutput: Int32?) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        if let standardOutput {
            posix_spawn_file_actions_adddup2(&actions, standardOutput, 1)
        } else {
            posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
        }
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT, 0o600)
        var all = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LORABANK_") && $0.key != "NO_COLOR" }
        all["HOME"] = folder
        all.merge(environment) { $1 }
        // `env -C` changes the folder and then becomes the program: the process stays the same.
        let argv = (["env", "-C", folder, Tool.path] + arguments).map { strdup($0) } + [nil]
        let envp = all.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        var process = pid_t()
        let error = posix_spawn(&process, "/usr/bin/env", &actions, nil, argv, envp)
        try #require(error == 0, "cannot start \(Tool.path): \(String(cString: strerror(error)))")
        return process
    }

    private static func peakBytes(of process: pid_t) -> Int {
        guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8) else { return 0 }
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
        }
        return 0
    }

    private static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}

/// A temporary folder with a bank in it, removed at the end.
final class Scratch: Sendable {
    let folder: String
    let tool: Tool

    /// - Parameter bank: makes an empty bank in `bank/`.
    init(bank: Bool = true, policy: String = "open") throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "lorabank-test-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        tool = Tool(folder: folder)
        if bank {
            let made = try tool.run(["init", "bank", "--policy", policy])
            try #require(made.status == 0, "init: \(made.errors)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Runs a command that must succeed.
    @discardableResult
    func succeed(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Tool.Outcome {
        let outcome = try tool.run(arguments)
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
        return outcome
    }

    /// Runs a command with `--json` that must succeed, and gives its document.
    func json(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> JSONValue {
        let outcome = try tool.run(arguments + ["--json"])
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
        return try outcome.json()
    }

    func run(_ arguments: String...) throws -> Tool.Outcome { try tool.run(arguments) }

    /// Imports starter adapters under their own names.
    func importStarter(_ names: String..., tag: String = "set=starter") throws {
        for name in names { try succeed("import", Tool.starter + "/" + name, "--tag", tag) }
    }

    /// Paths and contents of everything below a folder, except locks and SQLite's side files.
    func contents(of folder: String) throws -> [String: Data] {
        var result: [String: Data] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            if path.hasSuffix("-wal") || path.hasSuffix("-shm") || path.hasSuffix(".lock") || path.hasPrefix(".") {
                continue
            }
            result[path] = FileManager.default.contents(atPath: folder + "/" + path) ?? Data()
        }
        return result
    }
}

extension JSONValue {
    /// Keys of an object in order.
    var keys: [String] { members?.map(\.key) ?? [] }

    subscript(_ index: Int) -> JSONValue? { array.flatMap { index < $0.count ? $0[index] : nil } }
}
