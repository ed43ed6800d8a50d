import Adapters
import ArgumentParser
import Diagnostics
import Evaluation
import Foundation
import Merging
import Reports
import Settings
import WeightFiles

/// `recipe search`: candidates of a recipe, merged and judged one after the other.
struct RecipeSearchWork {
    enum Objective: String, ExpressibleByArgument, CaseIterable {
        case retention, interference
        case signConflict = "sign_conflict"
        case accuracy

        /// Larger is better.
        func score(_ value: Double) -> Double {
            self == .interference || self == .signConflict ? -value : value
        }
    }

    let session: Session
    let recipe: String
    let settings: [String]
    var suite: String?
    var suiteSettings: [String] = []
    var objective = Objective.retention

    func run(budget: Int?, seed: UInt64) throws -> RecipeSearchOutcome {
        let given = try settings.map { try SettingOverride($0) }
        let whole = try session.recipe(at: recipe, overrides: given)
        guard let section = whole.search else {
            throw Failure(
                .recipeBadParameter, "the recipe has no 'search' section", path: recipe,
                hint: "search: { over: { lambda: [0.3, 0.5, 1.0] }, strategy: grid }")
        }
        let search = try RecipeSearch(section, budget: budget, seed: seed)
        let library = try session.library()
        var first = whole
        first.search = nil
        let plan = try RecipePlanner(library: library).plan(first)
        guard plan.stages.count == 1, plan.result.checkpoint == nil else {
            throw Failure(.usageBadArgument, "a search runs on recipes with one stage of adapters", path: recipe)
        }
        let usesCores = canUseCores(plan)
        let source: any AdapterLibrary = try usesCores ? cores(whole, library) : library
        let operands = usesCores ? try RecipePlanner(library: source).plan(first).result.operands : plan.result.operands
        let judge = try DataFreeObjective(operands)
        let evaluator = try suite.map { path in
            let suite = try SuiteReader.read(path: path, overrides: suiteSettings.map { try SettingOverride($0) })
            if suite.data.split == .test {
                session.warn("the search reads the test split: report the winner's accuracy on other data")
            }
            var options = Evaluator.Options()
            options.threads = session.threads
            return Evaluator(try LoadedSuite(suite, resources: SessionResources(session)), options: options)
        }
        let began = Date()
        session.progress.begin("searching", total: Int64(search.budget), unit: "candidates")
        defer { session.progress.end() }
        let trials = try search.run { values in
            if Interruption.isRequested { throw CancellationError() }
            var candidate = try session.recipe(at: recipe, overrides: given + search.overrides(values))
            candidate.search = nil
            let adapter = try merged(candidate, source)
            let weights = try judge.value(of: adapter)
            var details = [("retention", weights.retention), ("interference", weights.interference)]
            if objective == .signConflict { details.append(("sign_conflict", try conflict(adapter, operands))) }
            if let evaluator {
                let subject = Subject(label: "candidate", key: values.joined(separator: "/"), kind: .adapter(adapter))
                let accuracy = try evaluator.evaluate([subject]).results.first?.accuracyGlobal ?? 0
                details.append(("accuracy", accuracy))
            }
            let value = details.first { $0.0 == objective.rawValue }?.1 ?? weights.retention
            session.progress.advance(by: 1)
            return RecipeSearch.Trial(
                values: values, score: objective.score(value), details: details.map { (name: $0.0, value: $0.1) })
        }
        return RecipeSearchOutcome(
            recipe: recipe, objective: objective, keys: search.dimensions.map(\.key), trials: trials,
            usesCores: usesCores,
            overrides: try trials.best.map { try search.overrides($0.values).map(\.place.description) } ?? [],
            seconds: Date().timeIntervalSince(began))
    }

    /// Only methods that commute with isometries, only plain matrices, and nothing that looks at full entries.
    private func canUseCores(_ plan: RecipePlan) -> Bool {
        guard suite == nil, objective != .signConflict, plan.result.post.isEmpty else { return false }
        let registry = MethodRegistry.standard
        let methods = Set(plan.result.modules.map(\.method))
        let exact = methods.allSatisfy { method in
            let description = registry.method(method, compatibility: plan.result.compatibility)
            return description?.exactness == .gram || description?.exactness == .spectral
        }
        let plain = plan.result.operands.allSatisfy { operand in
            operand.adapter.modules.allSatisfy { $0.kind == .linear && $0.magnitude == nil && $0.bias == nil }
        }
        return exact && plain
    }

    private func cores(_ recipe: Recipe, _ library: any AdapterLibrary) throws -> CoreLibrary {
        var references: [String] = []
        for model in recipe.stages.flatMap(\.models) where !references.contains(model.reference.value) {
            references.append(model.reference.value)
        }
        return try CoreLibrary(
            references.map { ($0, try library.adapters(for: $0, relativeTo: recipe.folder)) })
    }

    private func merged(_ recipe: Recipe, _ library: any AdapterLibrary) throws -> Adapter {
        var options = PlanOptions()
        options.threads = session.threads
        let plan = try RecipePlanner(library: library, options: options).plan(recipe)
        let folder = FileManager.default.temporaryDirectory.appending(path: "lorabank-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        _ = try MergeEngine.run(plan.result, to: .folder(folder), isCancelled: { Interruption.isRequested })
        return try AdapterReader.read(path: folder)
    }

    /// Mean share of entries where the merge has the opposite sign of an operand.
    private func conflict(_ adapter: Adapter, _ operands: [NamedAdapter]) throws -> Double {
        let merged = NamedAdapter(name: "merged", version: nil, object: nil, reference: "merged", adapter: adapter)
        let comparison = try AdapterComparison.compare([merged] + operands)
        let shares = comparison.signConflict[0].dropFirst().compactMap { $0 }
        return shares.isEmpty ? 0 : shares.reduce(0, +) / Double(shares.count)
    }
}

extension [RecipeSearch.Trial] {
    /// The highest score; the first of equals.
    var best: RecipeSearch.Trial? { self.max { $0.score < $1.score } }
}
