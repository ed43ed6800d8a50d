import Adapters
import Diagnostics
import Tensors

/// Where the merged adapter goes.
public enum MergeDestination: Sendable, Hashable {
    /// A folder (made when missing) that receives `adapter_config.json` and `adapter_model.safetensors`.
    case folder(String)
    /// One safetensors file without a configuration.
    case file(String)
}

/// Carries out the plan of one stage.
public enum MergeEngine {
    /// Merges and writes the result.
    ///
    /// Works module by module on `plan.threads` workers within `plan.memoryLimitBytes`; the bytes written do not
    /// depend on either. Files appear under their final names only when everything succeeded.
    ///
    /// - Parameter isCancelled: asked between modules and row blocks; when true, nothing is written and
    ///   `CancellationError` is thrown.
    /// - Throws: `merge.shape_mismatch`, `merge.rank_mismatch`, `merge.rank_limit`, `merge.dora_needs_base`,
    ///   `merge.non_finite`, `merge.nonfinite_result`, `recipe.zero_weight_sum`, `io.*`.
    public static func run(
        _ plan: StagePlan, to destination: MergeDestination, progress: any ProgressReporting = SilentProgress(),
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> MergeRecord {
        throw Failure(.recipeUnknownMethod, "no merge method is available yet", place: plan.modules.first?.method)
    }
}
