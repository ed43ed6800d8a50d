import Adapters
import Diagnostics
import Evaluation
import Foundation
import Networks
import Routing
import Settings
import Training
import WeightFiles

/// `router`: brings experts, suite and configuration together, trains, evaluates, keeps.
final class RouterWork {
    let session: Session
    let allowUnapproved: Bool
    private let options: RouterTableOptions

    init(session: Session, allowUnapproved: Bool, options: RouterTableOptions = RouterTableOptions()) {
        self.session = session
        self.allowUnapproved = allowUnapproved
        self.options = options
    }

    // MARK: Training

    /// - Parameters:
    ///   - run: a new folder for router, log and table.
    ///   - name: keep the router in the bank as well, under this name.
    func train(
        _ path: String, overrides: [SettingOverride], suiteOverrides: [SettingOverride], allowMissing: Bool,
        run: String?, evaluates: Bool, name: String? = nil
    ) throws -> RouterOutcome {
        var configuration = try RouterConfigurationReader.read(path: path, overrides: overrides)
        configuration.setup.training.allowMissing = allowMissing
        let output = try run.map { try AtomicFolder(path: $0) }
        let suitePath = URL(fileURLWithPath: configuration.resolved(configuration.suite.value)).standardizedFileURL.path
        let suite = try SuiteReader.read(path: suitePath, overrides: suiteOverrides)
        let loaded = try LoadedSuite(suite, resources: SessionResources(session))
        loaded.backbone.usesGradientCheckpointing = configuration.setup.training.usesGradientCheckpointing
        var experts = try experts(of: configuration, on: loaded)
        var evaluation = try RoutedEvaluation(loaded, experts: experts, threads: session.threads)
        let tasks = try tasks(of: configuration, experts, loaded)
        let samples = try trainingSamples(configuration, loaded)
        let router = try Interruption.cooperatively {
            try trained(configuration, evaluation, tasks, TrainSplit(samples))
        }
        if configuration.setup.training.regime == .joint {
            experts = try experts.retrained()
            evaluation = try RoutedEvaluation(loaded, experts: experts, threads: session.threads)
        }
        var outcome = RouterOutcome(
            name: configuration.name, router: router, experts: experts.ids, taskNames: loaded.taskNames,
            suite: suite.name, samples: samples.count)
        if evaluates {
            outcome.table = try tableWork(evaluation).table(
                router, training: samples,
                references: configuration.setup.training.regime == .joint ? [] : references(experts, configuration))
        }
        guard let output else { return outcome }
        if configuration.setup.training.regime == .joint { try experts.write(into: output.file("experts")) }
        var provenance = RouterFile.Provenance(
            name: configuration.name, suite: suitePath, dataDigest: samples.contentHash.hex, samples: samples.count,
            references: references(experts, configuration), createdAt: Timestamp.now())
        provenance.metrics = outcome.metrics
        outcome.identity = try RouterFile.write(
            router, over: experts, taskNames: loaded.taskNames, provenance: provenance, into: output.temporaryPath)
        try outcome.write(into: output)
        try output.commit()
        outcome.folder = run
        if let name { try RouterBankWork(session: session).keep(output.path, as: name, replacing: false) }
        return outcome
    }

    private func trained(
        _ configuration: RouterConfiguration, _ evaluation: RoutedEvaluation, _ tasks: ExpertTasks,
        _ samples: TrainSplit
    ) throws -> TrainedRouter {
        let isCancelled = { Interruption.isRequested }
        if configuration.setup.training.regime == .joint {
            return try JointTraining(evaluation, setup: configuration.setup, tasks: tasks).run(
                samples, progress: session.progress, isCancelled: isCancelled)
        }
        return try RouterTraining(evaluation, setup: configuration.setup, tasks: tasks).run(
            samples, progress: session.progress, isCancelled: isCancelled)
    }

    private func trainingSamples(
        _ configuration: RouterConfiguration, _ loaded: LoadedSuite
    ) throws -> LabelledSamples {
        let all = try loaded.dataset.train().samples
        guard let count = configuration.samples else { return all }
        return try StratifiedSplit.subsample(
            all, classes: loaded.dataset.classNames.count, count: count, seed: configuration.setup.training.seed)
    }

    // MARK: Experts

    private func experts(of configuration: RouterConfiguration, on loaded: LoadedSuite) throws -> RoutedExperts {
        if let new = configuration.newExperts {
            guard configuration.setup.training.regime == .joint else {
                throw Failure(
                    .recipeBadParameter, "new experts have to be trained: their updates are zero",
                    path: configuration.path,
                    place: "experts.new", hint: "add train: { regime: joint }")
            }
            return try RoutedExperts(
                new, tasks: loaded.taskNames, on: loaded.backbone, seed: configuration.setup.training.seed)
        }
        let library = try session.library(allowUnapproved: allowUnapproved)
        var found: [NamedAdapter] = []
        for reference in configuration.experts {
            do {
                found += try library.adapters(for: reference.value, relativeTo: configuration.folder)
            } catch var failure as Failure {
                failure.place = failure.place ?? reference.place.description
                throw failure
            }
        }
        noteUse(of: found)
        return try RoutedExperts(found, on: loaded.backbone)
    }

    private func noteUse(of adapters: [NamedAdapter]) {
        for adapter in adapters {
            guard let version = adapter.version,
                let row = try? session.bank().row(for: "\(adapter.name)@\(version)"), row.state == .pending
            else { continue }
            session.explain("'\(row.reference)' is pending: nobody has approved it yet")
        }
    }

    /// How each expert is found again: by name in the bank, else by path.
    private func references(_ experts: RoutedExperts, _ configuration: RouterConfiguration) -> [String] {
        experts.experts.map { expert in
            if configuration.setup.training.regime == .joint { return "path:experts/" + expert.name }
            if expert.version != nil { return expert.id }
            let text = expert.reference.hasPrefix("path:") ? String(expert.reference.dropFirst(5)) : expert.reference
            return "path:" + URL(fileURLWithPath: configuration.resolved(text)).standardizedFileURL.path
        }
    }

    private func tasks(
        of configuration: RouterConfiguration, _ experts: RoutedExperts, _ loaded: LoadedSuite
    ) throws -> ExpertTasks {
        var given: [String: String] = [:]
        switch configuration.domains {
        case .byName: break
        case .named(let table):
            for (task, reference) in table { given[task] = try expert(reference, experts, configuration) ?? reference }
        case .tag(let key):
            for task in loaded.taskNames { given[task] = try expert("tag:\(key)=\(task)", experts, configuration) }
        }
        return try ExpertTasks(
            names: experts.experts.map { ($0.name, $0.id) }, taskNames: loaded.taskNames, tasks: loaded.tasks,
            given: given)
    }

    /// The id of the expert that a reference means; nil when it means none of them.
    private func expert(
        _ reference: String, _ experts: RoutedExperts, _ configuration: RouterConfiguration
    ) throws -> String? {
        if let index = experts.index(of: reference) { return experts.ids[index] }
        guard reference.contains(":") else { return nil }
        let library = try session.library(allowUnapproved: allowUnapproved)
        let found = try library.adapters(for: reference, relativeTo: configuration.folder).map {
            RoutedExperts.Expert($0).id
        }.filter { experts.ids.contains($0) }
        guard found.count <= 1 else {
            throw Failure(
                .referenceAmbiguous,
                "\(found.count) experts are meant by '\(reference)': "
                    + found.joined(separator: ", "), place: "domains")
        }
        return found.first
    }

    // MARK: Evaluation

    /// - Parameter folder: of the router.
    func evaluate(
        _ folder: String, suite path: String?, overrides: [SettingOverride], suiteOverrides: [SettingOverride],
        plan name: String
    ) throws -> RouterOutcome {
        guard let plan = ExecutionPlan(rawValue: name) else {
            throw Failure(
                .usageBadArgument, "there is no plan '\(name)'", place: "--plan",
                hint: "plans: " + ExecutionPlan.allCases.map(\.rawValue).joined(separator: ", "))
        }
        let opened = try open(folder, suite: path, overrides: overrides, suiteOverrides: suiteOverrides)
        let (file, loaded, experts) = (opened.file, opened.evaluation.loaded, opened.evaluation.experts)
        var outcome = RouterOutcome(
            name: file.name, router: opened.router, experts: experts.ids, taskNames: loaded.taskNames,
            suite: opened.suite.name, samples: file.document["data"]?["samples"]?.integer ?? 0)
        outcome.identity = file.identity
        outcome.folder = folder
        outcome.table = try tableWork(opened.evaluation).table(
            opened.router, training: opened.training(), references: opened.references, plan: plan)
        return outcome
    }

    /// The router of a folder, on the suite that it was trained for or another.
    func open(
        _ folder: String, suite path: String?, overrides: [SettingOverride], suiteOverrides: [SettingOverride]
    ) throws -> OpenedRouter {
        let folder = try RouterBankWork(session: session).folder(of: folder)
        let file = try RouterFile(folder: folder, overrides: overrides)
        guard let suitePath = path ?? file.document["suite"]?.string else {
            throw Failure(.routerBadFile, "the router names no suite", path: folder, hint: "name one with --suite")
        }
        let suite = try SuiteReader.read(path: suitePath, overrides: suiteOverrides)
        let loaded = try LoadedSuite(suite, resources: SessionResources(session))
        let library = try session.library(allowUnapproved: allowUnapproved)
        let adapters = try file.experts.flatMap { try library.adapters(for: $0.reference, relativeTo: folder) }
        noteUse(of: adapters)
        let experts = try RoutedExperts(adapters, on: loaded.backbone)
        let router = try file.router(over: experts, suite: loaded)
        let evaluation = try RoutedEvaluation(loaded, experts: experts, threads: session.threads)
        return OpenedRouter(file: file, router: router, evaluation: evaluation, suite: suite)
    }

    private func tableWork(_ evaluation: RoutedEvaluation) -> RouterTableWork {
        RouterTableWork(session: session, allowUnapproved: allowUnapproved, options: options, evaluation: evaluation)
    }
}

/// A router read from its folder, over its experts, ready to run.
struct OpenedRouter {
    let file: RouterFile
    let router: TrainedRouter
    let evaluation: RoutedEvaluation
    let suite: Suite

    /// How its experts are found again.
    var references: [String] { file.experts.map(\.reference) }

    /// The samples that it learned from; nil when the suite's data give others now.
    func training() throws -> LabelledSamples? {
        let loaded = evaluation.loaded
        guard let count = file.document["data"]?["samples"]?.integer,
            let digest = file.document["data"]?["sha256"]?.string
        else { return nil }
        let all = try loaded.dataset.train().samples
        let part =
            count >= all.count
            ? all
            : try StratifiedSplit.subsample(
                all, classes: loaded.dataset.classNames.count, count: count, seed: router.setup.training.seed)
        return part.contentHash.hex == digest ? part : nil
    }
}
