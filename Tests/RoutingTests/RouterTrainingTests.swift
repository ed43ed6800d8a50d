import Diagnostics
import Evaluation
import Foundation
import Networks
import Settings
import Tensors
import Testing
import Training
import WeightFiles

@testable import Routing

/// Whole trainings on the tiny decoder of recipes/router/tiny.
@Suite struct RouterTrainingTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    static func loaded(_ name: String) throws -> LoadedSuite {
        try LoadedSuite(SuiteReader.read(path: root + "/recipes/router/tiny/\(name)-suite.yaml"))
    }

    /// Untrained experts with some effect, one per task.
    static func evaluation(_ name: String, sites: [String]) throws -> RoutedEvaluation {
        let loaded = try loaded(name)
        var new = RouterConfiguration.NewExperts()
        (new.rank, new.alpha, new.sites) = (2, 4, sites)
        let experts = try RoutedExperts(new, tasks: loaded.taskNames, on: loaded.backbone, seed: 3)
        for (index, slot) in experts.slots.enumerated() {
            for pair in slot.pairs {
                _ = slot.b(pair).update(
                    fromContentsOf: Noise.numbers(pair.b.count, seed: UInt64(index), scale: 0.3) as [Float])
            }
        }
        experts.refresh()
        return try RoutedEvaluation(loaded, experts: experts.retrained(), threads: 2)
    }

    static func tasks(_ evaluation: RoutedEvaluation) throws -> ExpertTasks {
        try ExpertTasks(
            names: evaluation.experts.experts.map { ($0.name, $0.id) }, taskNames: evaluation.loaded.taskNames,
            tasks: evaluation.loaded.tasks, given: [:])
    }

    static func setup(_ change: (inout RouterSetup) -> Void) -> RouterSetup {
        var setup = RouterSetup()
        setup.training.steps = 30
        setup.training.learningRate = 0.02
        setup.routing = RoutingOptions(mode: .topk, k: 1)
        setup.loss.preset = .none
        change(&setup)
        return setup
    }

    static func samples(_ evaluation: RoutedEvaluation, _ count: Int) throws -> TrainSplit {
        let all = try evaluation.loaded.dataset.train().samples
        return TrainSplit(try StratifiedSplit.subsample(all, classes: 6, count: count, seed: 1))
    }

    @Test func `a global router learns the tasks, and nothing frozen moves`() throws {
        let evaluation = try Self.evaluation("llama", sites: ["q", "v"])
        let setup = Self.setup {
            ($0.router.scope, $0.router.granularity, $0.router.kind) = (.global, .sequence, .prototypes)
            ($0.router.initialisation, $0.loss.task) = (.means, 0)
            ($0.loss.extra, $0.training.refit, $0.training.steps) = (["domain": 1], true, 200)
        }
        let base = RouterFile.digest(of: evaluation.experts.backbone)
        let before = evaluation.experts.slots.map { Array($0.values) }
        let training = RouterTraining(evaluation, setup: setup, tasks: try Self.tasks(evaluation))
        let router = try training.run(Self.samples(evaluation, 120))
        #expect(RouterFile.digest(of: evaluation.experts.backbone) == base)
        #expect(evaluation.experts.slots.map { Array($0.values) } == before)
        let test = try evaluation.encode(evaluation.loaded.samples())
        let weights = try #require(try evaluation.features(router.subject(), test).weights)
        let right = test.encoded.labels.enumerated().filter { row, label in
            weights[row, router.tasks.expert(ofClass: label) ?? 0] == 1
        }
        #expect(Double(right.count) / Double(test.count) > 0.8, "\(right.count) of \(test.count)")
        // The same seed gives the same router.
        let again = try training.run(Self.samples(evaluation, 120))
        #expect(again.model.values == router.model.values)
    }

    @Test(arguments: ["llama", "mamba"])
    func `routers at the linears learn through the mixture`(_ name: String) throws {
        let sites = name == "mamba" ? ["in", "x", "dt", "out"] : ["q", "v", "o"]
        let evaluation = try Self.evaluation(name, sites: sites)
        let setup = Self.setup {
            $0.loss = LossOptions()
            $0.router.norm = .rms
        }
        let router = try RouterTraining(evaluation, setup: setup, tasks: try Self.tasks(evaluation)).run(
            Self.samples(evaluation, 60))
        let tasks = router.log.steps.compactMap { $0.terms.first { $0.name == "task" }?.value }
        #expect(tasks.count == 30)
        #expect(tasks.suffix(8).reduce(0, +) < tasks.prefix(8).reduce(0, +))
        #expect(router.log.validations.count == 5)
        #expect(router.log.steps.allSatisfy { $0.terms.map(\.name) == ["task", "balance", "entropy"] })
    }

    @Test func `joint training makes experts that beat the backbone`() throws {
        let loaded = try Self.loaded("llama")
        var new = RouterConfiguration.NewExperts()
        (new.rank, new.alpha, new.sites) = (2, 4, ["q", "v"])
        let experts = try RoutedExperts(new, tasks: loaded.taskNames, on: loaded.backbone, seed: 3)
        let evaluation = try RoutedEvaluation(loaded, experts: experts, threads: 2)
        let setup = Self.setup {
            ($0.training.regime, $0.training.stageTwo, $0.training.stageThree) = (.joint, .both, 0.2)
            ($0.training.expertRate, $0.training.expertSteps, $0.router.norm) = (0.02, 60, .rms)
        }
        let router = try JointTraining(evaluation, setup: setup, tasks: try Self.tasks(evaluation)).run(
            Self.samples(evaluation, 90))
        let first = router.log.steps.filter { $0.stage == "experts" }.map { $0.terms[0].value }
        #expect(first.count == 60)
        #expect(first.suffix(10).reduce(0, +) < first.prefix(10).reduce(0, +))
        #expect(router.log.steps.last?.terms.contains { $0.name == "preserve" && $0.value > 0 } == true)
        let made = try experts.retrained()
        #expect(made.experts[0].digest != experts.experts[0].digest)
    }

    @Test func `fewer than 20 samples are validated in folds`() throws {
        let evaluation = try Self.evaluation("llama", sites: ["v"])
        let setup = Self.setup {
            ($0.router.scope, $0.router.granularity) = (.global, .sequence)
            ($0.loss.task, $0.loss.extra) = (0, ["domain": 1])
        }
        let router = try RouterTraining(evaluation, setup: setup, tasks: try Self.tasks(evaluation)).run(
            Self.samples(evaluation, 12))
        #expect(router.log.folds == 5)
        #expect(router.log.validationCount == 12)
        #expect(router.log.refitted)
        let split = SampleFolds(tasks: (0..<60).map { $0 % 3 }, options: setup.training).folds
        #expect(split.count == 1 && split[0].validation.count == 12)
        #expect(Set(split[0].validation.map { $0 % 3 }).count == 3)
    }

    @Test func `what cannot be trained is refused`() throws {
        let evaluation = try Self.evaluation("llama", sites: ["v"])
        let tasks = try Self.tasks(evaluation)
        func code(_ setup: RouterSetup, _ samples: TrainSplit) -> ErrorCode? {
            do { _ = try RouterTraining(evaluation, setup: setup, tasks: tasks).run(samples) } catch {
                return (error as? Failure)?.code
            }
            return nil
        }
        let all = try Self.samples(evaluation, 30)
        #expect(code(Self.setup { $0.training.mode = .topk }, all) == .configBadValue)
        #expect(code(Self.setup { $0.training.mode = .uniform }, all) == .configBadValue)
        #expect(code(Self.setup { $0.router.initialisation = .means }, all) == .configBadValue)
        let one = TrainSplit(all.samples.selecting((0..<30).filter { all.samples.labels[$0] < 2 }))
        #expect(code(Self.setup { _ in }, one) == .dataTooFew)
    }

    @Test func `a router file gives the router back, and refuses other experts`() throws {
        let evaluation = try Self.evaluation("llama", sites: ["q", "v"])
        let tasks = try Self.tasks(evaluation)
        let setup = Self.setup { ($0.router.kind, $0.router.bias, $0.training.steps) = (.mlp, true, 3) }
        let router = try RouterTraining(evaluation, setup: setup, tasks: tasks).run(Self.samples(evaluation, 30))
        let folder = FileManager.default.temporaryDirectory.path + "/router-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let provenance = RouterFile.Provenance(
            name: "r", suite: "s", dataDigest: "d", samples: 30, references: evaluation.experts.ids, createdAt: "now")
        let id = try RouterFile.write(
            router, over: evaluation.experts, taskNames: evaluation.loaded.taskNames, provenance: provenance,
            into: folder)
        let file = try RouterFile(folder: folder)
        let read = try file.router(over: evaluation.experts, suite: evaluation.loaded)
        #expect(read.model.values == router.model.values)
        #expect(read.setup.router == router.setup.router && read.setup.routing == router.setup.routing)
        #expect(file.identity == id)
        let other = try Self.evaluation("llama", sites: ["q"])
        #expect {
            _ = try file.router(over: other.experts, suite: other.loaded)
        } throws: { ($0 as? Failure)?.code == .routerExpertChanged }
        let text = try String(contentsOfFile: folder + "/router.json", encoding: .utf8)
        try text.replacingOccurrences(of: "\"samples\": 30", with: "\"samples\": 31").write(
            toFile: folder + "/router.json", atomically: true, encoding: .utf8)
        #expect {
            _ = try RouterFile(folder: folder).router(over: evaluation.experts, suite: evaluation.loaded)
        } throws: { ($0 as? Failure)?.code == .routerBadFile }
    }

    @Test func `shipped configurations are understood, and mistakes are named`() throws {
        let folder = Self.root + "/recipes/router"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
        #expect(files.count >= 5)
        for file in files {
            let found = try RouterConfigurationReader.read(path: folder + "/" + file)
            #expect(found.setup.training.seed == 1)
        }
        func failure(_ text: String) -> Failure? {
            do { _ = try RouterConfigurationReader.read(text: text, folder: "") } catch { return error as? Failure }
            return nil
        }
        let start = "suite: s.yaml\nexperts: [a]\n"
        #expect(failure(start)?.code == .recipeSeedRequired)
        let wrong = failure(start + "seed: 1\nrouter: { scop: global }")
        #expect(wrong?.code == .recipeUnknownKey && wrong?.hint?.contains("scope") == true)
        #expect(failure(start + "seed: 1\nrouter: { kind: deep }")?.code == .recipeBadParameter)
        #expect(failure(start + "seed: 1\ntrain: { split: test }")?.code == .recipeBadParameter)
        let set = try RouterConfigurationReader.read(
            text: start + "seed: 1", folder: "", overrides: [SettingOverride("routing.k=2")])
        #expect(set.setup.routing.k == 2 && !set.setup.training.usesGradientCheckpointing)
        let checkpoints = try RouterConfigurationReader.read(
            text: start + "seed: 1\ntrain: { gradientCheckpointing: true }", folder: "")
        #expect(checkpoints.setup.training.usesGradientCheckpointing)
        #expect(
            failure(start + "seed: 1\ntrain: { gradient_checkpointing: true }")?.hint?.contains("gradientCheckpointing")
                == true)
    }
}
