import Adapters
import Diagnostics

/// Turns a recipe into plans: references become adapters, patterns modules, gradients numbers.
///
/// ```swift
/// let plan = try RecipePlanner(library: bank).plan(recipe)
/// for finding in MergeLint.findings(in: plan) { … }
/// ```
/// Nothing is computed on weights; a recipe that plans fails later only for what its numbers hold.
public struct RecipePlanner: Sendable {
    public var library: any AdapterLibrary
    public var registry: MethodRegistry
    public var options: PlanOptions

    public init(
        library: any AdapterLibrary, registry: MethodRegistry = .standard, options: PlanOptions = PlanOptions()
    ) {
        self.library = library
        self.registry = registry
        self.options = options
    }

    /// - Throws: what the library throws for references; `merge.base_mismatch`, `merge.module_mismatch`,
    ///   `merge.shape_mismatch`, `merge.dora_needs_base`, `recipe.seed_required`, `recipe.zero_weight_sum`,
    ///   `recipe.bad_parameter`; `usage.bad_argument` for a recipe with `search`.
    public func plan(_ recipe: Recipe) throws -> RecipePlan {
        do {
            if let search = recipe.search {
                throw Failure(
                    .usageBadArgument, "a recipe with 'search' describes many merges; merging runs one",
                    place: search.place.description,
                    hint: "remove 'search' and fix the values, for example with --set")
            }
            let graph = try StageGraph(recipe.stages)
            var stages: [StagePlan] = []
            for index in graph.order where !graph.unused.contains(index) {
                let planner = StagePlanner(
                    stage: recipe.stages[index], folder: recipe.folder, isResult: index == graph.result,
                    registry: registry, options: options)
                stages.append(try planner.plan(library: library, earlier: stages))
            }
            let resolved = ResolvedRecipe(
                recipe, order: graph.order.filter { !graph.unused.contains($0) }, plans: stages)
            return RecipePlan(stages: stages, resolved: resolved, notes: recipe.notes)
        } catch let failure as Failure {
            throw recipe.path.map { failure.at(path: $0) } ?? failure
        }
    }
}
