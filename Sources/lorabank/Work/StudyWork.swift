import ContinualLearning
import Diagnostics
import Foundation
import Reports
import WeightFiles

/// `cil study`: many runs of `cil run` in processes of their own, one result file each; what is there is not run again.
struct StudyWork {
    let session: Session
    let preset: StudyPreset
    let settings: [StudySetting]
    let configuration: String
    let folder: String
    let seeds: [Int]
    let jobs: Int
    let overrides: [String]
    /// The class order changes with the seed.
    let variesOrder: Bool

    /// One run of the study.
    private struct Job {
        var setting: StudySetting
        var seed: Int
        /// What the run printed and how it ended; the run directory stands in it.
        var folder: String
        var result: String { folder + "/result.json" }
        var run: String { folder + "/run" }
    }

    private var jobList: [Job] {
        // Seed by seed, so that a study that is stopped has whole seeds.
        seeds.flatMap { seed in
            settings.map { Job(setting: $0, seed: seed, folder: place(of: $0.name, seed: seed)) }
        }
    }

    private func place(of setting: String, seed: Int) -> String {
        let name = setting.map { $0 == "/" ? "_" : String($0) }.joined()
        return "\(folder)/runs/\(name)/seed-\(seed)"
    }

    /// The run whose adapters a job merges.
    private func source(of job: Job) -> Job? {
        job.setting.merging.map { merging in
            Job(
                setting: StudySetting(merging.source, []), seed: job.seed,
                folder: place(of: merging.source, seed: job.seed))
        }
    }

    func run() throws -> StudyOutcome {
        let clock = ContinuousClock()
        let start = clock.now
        let open = jobList.filter { !FileManager.default.fileExists(atPath: $0.result) }
        session.progress.begin("study \(preset.rawValue)", total: Int64(open.count), unit: "runs")
        try Interruption.cooperatively { try carryOut(open) }
        session.progress.end()
        let seconds = clock.now - start
        return try collect(seconds: Double(seconds.components.seconds))
    }

    /// The results that are there.
    func collect(seconds: Double = 0) throws -> StudyOutcome {
        var results: [String: [Int: JSONValue]] = [:]
        for job in jobList where FileManager.default.fileExists(atPath: job.result) {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: job.result)))
            results[job.setting.name, default: [:]][job.seed] = try bytes.withUnsafeBytes {
                try StrictJSON.parse($0, .configuration, path: job.result)
            }
        }
        return StudyOutcome(
            preset: preset, folder: folder, configuration: configuration,
            table: StudyTable(settings: settings, results: results), seconds: seconds)
    }

    private func carryOut(_ open: [Job]) throws {
        var waiting = open
        var running: [(process: Process, job: Job)] = []
        // Children inherit ignored signals, and a run that is killed goes on behind its last checkpoint.
        defer { for entry in running where entry.process.isRunning { kill(entry.process.processIdentifier, SIGKILL) } }
        var failed: [Job] = []
        while !waiting.isEmpty || !running.isEmpty {
            if Interruption.isRequested { throw CancellationError() }
            while running.count < jobs, let next = waiting.firstIndex(where: { isReady($0, running.map(\.job)) }) {
                let job = waiting.remove(at: next)
                guard canStart(job) else {
                    failed.append(job)
                    session.progress.advance(by: 1)
                    continue
                }
                running.append((try start(job), job))
            }
            usleep(50_000)
            // One look at each process: one that ends between two looks would be dropped without its result.
            let ended = running.indices.filter { !running[$0].process.isRunning }
            for entry in ended.map({ running[$0] }) {
                if try !finish(entry.job, status: entry.process.terminationStatus) { failed.append(entry.job) }
                session.progress.note("\(entry.job.setting.name), seed \(entry.job.seed)")
                session.progress.advance(by: 1)
            }
            for index in ended.reversed() { running.remove(at: index) }
        }
        if let first = failed.first, !jobList.contains(where: { FileManager.default.fileExists(atPath: $0.result) }) {
            throw Failure(
                .recipeBadParameter, "all \(failed.count) runs failed", path: first.folder + "/messages.txt",
                hint: "the file tells why the first one did")
        }
        for job in failed {
            session.warn("\(job.setting.name), seed \(job.seed) failed: see \(job.folder)/messages.txt")
        }
    }

    /// False while the run that a job needs is still on its way: it stands before it in the list.
    private func isReady(_ job: Job, _ running: [Job]) -> Bool {
        guard let source = source(of: job) else { return true }
        return !running.contains { $0.folder == source.folder }
    }

    private func canStart(_ job: Job) -> Bool {
        source(of: job).map { FileManager.default.fileExists(atPath: $0.result) } ?? true
    }

    private func start(_ job: Job) throws -> Process {
        try DurableFiles.createFolders(job.folder)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        // A run that was interrupted goes on behind its last checkpoint.
        let begun = FileManager.default.fileExists(atPath: job.run + "/request.json")
        process.arguments =
            (begun ? ["cil", "resume", job.run, "--no-bank"] : fresh(job)) + [
                "--json", "--no-progress", "--threads", jobs > 1 ? "1" : "\(session.threads)",
            ]
        for (name, path) in [("stdout", job.result + ".part"), ("stderr", job.folder + "/messages.txt")] {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
            let handle = FileHandle(forWritingAtPath: path)
            if name == "stdout" { process.standardOutput = handle } else { process.standardError = handle }
        }
        try process.run()
        return process
    }

    private func fresh(_ job: Job) -> [String] {
        if let merging = job.setting.merging, let source = source(of: job) {
            return ["cil", "replay", source.run, "--merge", merging.recipe]
        }
        var settings = overrides + job.setting.overrides + ["seeds.train=\(job.seed)"]
        if variesOrder { settings.append("seeds.class_order=\(job.seed)") }
        return ["cil", "run", configuration, "--run", job.run, "--no-bank"] + settings.flatMap { ["--set", $0] }
    }

    /// Gives the result its name once it is whole.
    private func finish(_ job: Job, status: Int32) throws -> Bool {
        let part = job.result + ".part"
        guard status == 0 else { return false }
        try DurableFiles.move(from: part, replacing: job.result)
        return true
    }
}
