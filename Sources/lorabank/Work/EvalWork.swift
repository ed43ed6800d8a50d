import Adapters
import Bank
import Diagnostics
import Evaluation
import Merging
import Networks
import Settings

/// `eval`: collects subjects, runs them, keeps what was measured.
final class EvalWork {
    private let session: Session
    private let allowUnapproved: Bool
    private let loaded: LoadedSuite
    private var options = Evaluator.Options()
    private var subjects: [Subject] = []
    /// `name@version` of the subjects that are adapters of the bank, by label.
    private var stored: [String: String] = [:]

    init(
        session: Session, suite path: String, overrides: [SettingOverride], allowUnapproved: Bool,
        memoryLimitBytes: Int, precision: Precision = .float32
    ) throws {
        self.session = session
        self.allowUnapproved = allowUnapproved
        let suite = try SuiteReader.read(path: path, overrides: overrides)
        loaded = try LoadedSuite(suite, resources: SessionResources(session), precision: precision)
        options.threads = session.threads
        options.memoryLimitBytes = memoryLimitBytes
    }

    // MARK: Subjects

    func addBackbone() { subjects.append(.backbone) }

    func addAdapters(_ reference: String) {
        collect {
            let found = try adapters(reference)
            for adapter in found {
                let name = adapter.version.map { "\(adapter.name)@\($0)" }
                let label = found.count == 1 ? reference : name ?? adapter.name
                subjects.append(Subject(label: label, key: key(adapter), kind: .adapter(adapter.adapter)))
                stored[label] = name
            }
        }
    }

    func addMerge(_ path: String, _ overrides: [SettingOverride], allowBaseMismatch: Bool) {
        collect {
            let work = MergeWork(session: session, allowUnapproved: allowUnapproved)
            var plan = PlanOptions()
            plan.threads = session.threads
            plan.memoryLimitBytes = options.memoryLimitBytes
            plan.allowBaseMismatch = allowBaseMismatch
            let adapter = try work.adapter(of: work.recipe(at: path, overrides), options: plan)
            subjects.append(Subject(label: path, key: "recipe \(path)", kind: .adapter(adapter)))
        }
    }

    /// - Parameter specification: `task=REF,…`, or `tag:KEY`.
    func addOracle(_ specification: String) {
        collect {
            let references = try OracleReferences(specification, tasks: loaded.taskNames)
            let members = try references.inOrder.map { task, reference in
                let found = try adapters(reference)
                guard found.count == 1, let adapter = found.first else {
                    throw Failure(
                        .referenceAmbiguous,
                        "\(found.count) adapters stand for task '\(task)': "
                            + found.map { "\($0.name)@\($0.version ?? 1)" }.joined(separator: ", "),
                        place: "--oracle", hint: "name them: --oracle \(task)=REF,…")
                }
                return Subject.Member(key: key(adapter), adapter: adapter.adapter)
            }
            subjects.append(Subject(label: "oracle", kind: .perTask(members)))
        }
    }

    /// Runs `body`; a failure is reported, and the command goes on with the others.
    private func collect(_ body: () throws -> Void) {
        do { try body() } catch { session.report(Program.failure(from: error)) }
    }

    private func adapters(_ reference: String) throws -> [NamedAdapter] {
        let found = try session.library(allowUnapproved: allowUnapproved).adapters(for: reference, relativeTo: "")
        for adapter in found {
            guard let version = adapter.version else { continue }
            let row = try session.bank().row(for: "\(adapter.name)@\(version)")
            if row.state == .pending { session.explain("'\(row.reference)' is pending: nobody has approved it yet") }
        }
        return found
    }

    private func key(_ adapter: NamedAdapter) -> String { adapter.object ?? "path \(adapter.reference)" }

    // MARK: Work

    func evaluate(recording: Bool) throws -> EvaluationOutcome {
        let evaluator = Evaluator(loaded, options: options)
        let evaluation = try Interruption.cooperatively {
            try evaluator.evaluate(
                subjects, progress: session.progress, isCancelled: { Interruption.isRequested },
                onFailure: { _, failure in self.session.report(failure) })
        }
        for result in evaluation.results where result.nonFinite > 0 {
            session.warn("'\(result.subject)': the scores of \(result.nonFinite) samples are not finite")
        }
        let precision = loaded.backbone.precision
        if recording, precision == .float32 { record(evaluation) }
        if recording, precision != .float32, !stored.isEmpty {
            session.note("results in \(precision.rawValue) are not kept in the bank")
        }
        return EvaluationOutcome(evaluation: evaluation, stored: stored, precision: precision.rawValue)
    }

    /// Keeps the accuracies of the bank's own adapters; a bank that cannot be written keeps nothing.
    private func record(_ evaluation: Evaluation) {
        let rows = evaluation.results.compactMap { result in stored[result.subject].map { (result, $0) } }
        guard !rows.isEmpty else { return }
        do {
            let bank = try session.bank()
            guard !bank.isReadOnly else {
                session.note("the bank cannot be written: the results are not kept in it")
                return
            }
            for (result, reference) in rows {
                try bank.record(metrics(result, evaluation), for: reference)
            }
        } catch {
            session.report(Program.failure(from: error))
        }
    }

    private func metrics(_ result: SubjectResult, _ evaluation: Evaluation) -> [Metric] {
        func metric(_ name: String, _ value: Double?, _ count: Int, _ interval: Interval?) -> Metric? {
            value.map {
                Metric(
                    dataset: evaluation.suite, split: evaluation.split, name: name, value: $0, n: count,
                    ciLow: interval?.low, ciHigh: interval?.high)
            }
        }
        let tasks = zip(evaluation.taskNames, result.tally.countsPerTask).map { task, counts in
            metric(
                AdapterMetrics.taskPrefix + task,
                counts.count > 0 ? Double(counts.correct) / Double(counts.count) : nil, counts.count,
                Interval.wilson(correct: counts.correct, count: counts.count))
        }
        let overall = [
            metric("acc_global", result.accuracyGlobal, result.tally.count, result.interval),
            metric("acc_local", result.accuracyLocal, result.tally.countLocal, result.localInterval),
        ]
        return (overall + tasks).compactMap { $0 }
    }
}

/// Which adapter stands for which task.
struct OracleReferences {
    /// One reference per task, in the order of the tasks.
    let inOrder: [(task: String, reference: String)]

    /// - Throws: `usage.bad_argument` for unknown and missing tasks.
    init(_ specification: String, tasks: [String]) throws {
        guard !tasks.isEmpty else {
            throw Failure(.usageBadArgument, "the suite has no tasks, so there is no adapter of a sample's own task")
        }
        if specification.hasPrefix("tag:"), !specification.contains("=") {
            inOrder = tasks.map { ($0, "\(specification)=\($0)") }
            return
        }
        var named: [String: String] = [:]
        for part in specification.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else {
                throw Failure(
                    .usageBadArgument, "'\(part)' is not of the form task=REF", place: "--oracle",
                    hint: "--oracle task0=a,task1=b, or --oracle tag:task")
            }
            guard tasks.contains(pair[0]) else {
                throw Failure(
                    .usageBadArgument, "the suite has no task '\(pair[0])'", place: "--oracle",
                    hint: Spelling.hint(for: pair[0], among: tasks) ?? "tasks: " + tasks.joined(separator: ", "))
            }
            named[pair[0]] = pair[1]
        }
        if let missing = tasks.first(where: { named[$0] == nil }) {
            throw Failure(
                .usageBadArgument, "no adapter stands for task '\(missing)'", place: "--oracle",
                hint: "every task needs one: " + tasks.joined(separator: ", "))
        }
        inOrder = tasks.map { ($0, named[$0] ?? "") }
    }
}
