import Adapters
import Diagnostics
import Evaluation
import Foundation
import Merging
import Networks
import Routing
import Settings
import Training
import WeightFiles

/// `recipe learn`: the weights of a `cat` recipe, one per adapter and module, from training samples.
struct RecipeLearnWork {
    let session: Session
    let recipe: String
    let settings: [String]
    let suite: String
    let suiteSettings: [String]
    /// Training samples at most, stratified by class; nil: all of them.
    var samples: Int?
    var options = CatLearning.Options()

    func run() throws -> RecipeLearnOutcome {
        let began = Date()
        let whole = try session.recipe(at: recipe, overrides: try settings.map { try SettingOverride($0) })
        let plan = try RecipePlanner(library: try session.library()).plan(whole)
        let stage = plan.result
        try requireCat(plan)
        let suite = try SuiteReader.read(
            path: suite, overrides: try suiteSettings.map { try SettingOverride($0) })
        let loaded = try LoadedSuite(suite, resources: SessionResources(session))
        let experts = try RoutedExperts(stage.operands, on: loaded.backbone)
        let places = try places(stage, experts)
        let evaluation = try RoutedEvaluation(loaded, experts: experts, threads: session.threads)
        var initial: [Int: [SiteID: Double]] = [:]
        for place in places { initial[place.expert, default: [:]][place.site] = place.weight }
        let split = TrainSplit(try trainingSamples(loaded))
        let outcome = try Interruption.cooperatively {
            try CatLearning(evaluation, options: options).run(
                from: initial, on: split, progress: session.progress,
                isCancelled: { Interruption.isRequested })
        }
        var weights: [Int: [String: Double]] = [:]
        for place in places {
            weights[place.operand, default: [:]][place.module] = outcome.weights[place.expert]?[place.site] ?? 0
        }
        return RecipeLearnOutcome(
            recipe: recipe, suite: suite.name, learning: outcome,
            adapters: stage.operands.indices.map { (stage.operands[$0].name, weights[$0] ?? [:]) },
            learned: try document(plan, weights, folder: whole.folder), seconds: Date().timeIntervalSince(began))
    }

    /// Where a weight of the recipe acts on the backbone.
    private struct Place {
        var operand: Int
        var module: String
        var expert: Int
        var site: SiteID
        var weight: Double
    }

    private func requireCat(_ plan: RecipePlan) throws {
        guard plan.stages.count == 1, plan.result.checkpoint == nil else {
            throw Failure(.usageBadArgument, "weights are learned for recipes with one stage of adapters", path: recipe)
        }
        guard plan.result.modules.allSatisfy({ $0.method == "cat" }), plan.result.post.isEmpty else {
            throw Failure(
                .usageBadArgument, "weights are learned for the method cat without post-steps", path: recipe,
                hint: "set merge_method: cat; `lorabank recipe search` tries the parameters of any method")
        }
    }

    private func places(_ stage: StagePlan, _ experts: RoutedExperts) throws -> [Place] {
        let sites = experts.backbone.description.siteMap
        return try stage.modules.flatMap { module in
            try module.operands.compactMap { operand -> Place? in
                let adapter = stage.operands[operand.operand]
                guard adapter.adapter.modules.contains(where: { $0.name == module.module }) else { return nil }
                guard let site = sites.site(forModule: module.module),
                    let expert = experts.index(of: RoutedExperts.Expert(adapter).id)
                else {
                    throw Failure(
                        .backboneAdapterMismatch, "the backbone of the suite has no linear of this name",
                        path: adapter.name, place: module.module)
                }
                return Place(
                    operand: operand.operand, module: module.module, expert: expert, site: site, weight: operand.weight)
            }
        }
    }

    private func trainingSamples(_ loaded: LoadedSuite) throws -> LabelledSamples {
        let all = try loaded.dataset.train().samples
        guard let samples, samples < all.count else { return all }
        return try StratifiedSplit.subsample(
            all, classes: loaded.dataset.classNames.count, count: samples, seed: options.seed)
    }

    /// The resolved recipe with the learned weights; folders by their full path, so that it may stand anywhere.
    private func document(
        _ plan: RecipePlan, _ weights: [Int: [String: Double]], folder: String
    ) throws -> JSONValue {
        guard case .object(var members) = plan.resolved.json,
            let index = members.firstIndex(where: { $0.key == "models" }),
            case .array(let models) = members[index].value
        else { throw Failure(.internalDefect, "the resolved recipe has no models", hint: "please report this") }
        members[index].value = .array(
            models.enumerated().map { operand, model in
                let values = (weights[operand] ?? [:]).sorted { $0.key < $1.key }
                return .object([
                    .init("model", .string(absolute(model["model"]?.string ?? "", folder))),
                    .init(
                        "parameters",
                        .object([
                            .init(
                                "weight",
                                .object([
                                    .init("per", .string("module")),
                                    .init("values", .object(values.map { .init($0.key, .double($0.value)) })),
                                ]))
                        ])),
                ])
            })
        return .object(members)
    }

    private func absolute(_ reference: String, _ folder: String) -> String {
        let path = reference.hasPrefix("path:") ? String(reference.dropFirst(5)) : reference
        guard reference.hasPrefix("path:") || path.hasPrefix(".") || path.hasPrefix("/") else { return reference }
        let base = URL(fileURLWithPath: folder, isDirectory: true)
        return "path:" + URL(fileURLWithPath: path, relativeTo: base).standardizedFileURL.path
    }
}
