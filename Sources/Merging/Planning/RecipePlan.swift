import Adapters
import Diagnostics

/// A whole recipe, resolved: what `merge` carries out and `merge --dry-run` shows.
public struct RecipePlan: Sendable {
    /// In order of execution; the last one gives the result. Stages that nothing uses are left out.
    public var stages: [StagePlan]
    /// The recipe with every reference resolved, as stored in the provenance.
    public var resolved: ResolvedRecipe
    /// What concerns no single stage.
    public var notes: [PlanNote]

    /// The stage whose result is the recipe's.
    public var result: StagePlan { stages[stages.count - 1] }
}

extension StagePlan {
    /// The plan with the result of an earlier stage in the place of its outline.
    ///
    /// - Parameter adapter: what the stage of that name gave; its modules are those of the outline.
    public func filling(stage name: String, with adapter: Adapter) -> StagePlan {
        var copy = self
        for (index, stage) in pendingOperands where stage == name {
            copy.operands[index].adapter = adapter
            copy.pendingOperands[index] = nil
        }
        return copy
    }
}

/// Settings that the command line gives where the recipe is silent.
public struct PlanOptions: Sendable {
    /// Used when the recipe has no `limits.memory`.
    public var memoryLimitBytes = 1 << 30
    /// Used when the recipe has no `limits.threads`.
    public var threads = 1
    /// `--allow-base-mismatch`
    public var allowBaseMismatch = false

    public init() {}
}
