// Pages of the areas `merge`, `recipe` and `numeric`.

extension ErrorPage {
    static let mergePages: [ErrorPage] = [
        .error(
            .mergeBaseMismatch,
            cause: "The adapters were trained on different base models; their updates do not add up to anything.",
            example: "'a' belongs to meta-llama/Llama-3-8B, 'b' to mistralai/Mistral-7B",
            remedy:
                "Merge adapters of one base. If only the names differ, set `allow_base_mismatch: true` in the recipe."),
        .error(
            .mergeModuleMismatch, cause: "The adapters adapt different modules, and `missing: error` forbids that.",
            example: "'a' has mlp.fc1, 'b' lacks it",
            remedy: "Use `missing: skip`, `renormalize` or `zero`, or filter the modules."),
        .error(
            .mergeShapeMismatch, cause: "One module has different dimensions in two adapters.",
            example: "q_proj is 4096×4096 in 'a', 2048×2048 in 'b'",
            remedy: "These adapters belong to different models; leave one out."),
        .error(
            .mergeRankMismatch, cause: "The method combines factors one by one and needs equal ranks.",
            example: "linear with `compat: peft` on ranks 8 and 16",
            remedy: "Use a method that works on the products: native `linear`, `cat`, `svd`."),
        .error(
            .mergeRankLimit, cause: "The result would need a higher rank than is allowed.",
            example: "cat of 64 adapters of rank 32",
            remedy: "Set `output.rank` to a number or `{energy: 0.99}`, or raise the limit."),
        .error(
            .mergeDoraNeedsBase,
            cause: "A DoRA adapter rescales the base weights; without them it is no update that could be merged.",
            example: "'a' has lora_magnitude_vector",
            remedy: "Give the base weights (`base_model`), or leave the adapter out."),
        .error(
            .mergeUnsupportedKind, cause: "The method cannot treat this kind of module.",
            example: "an embedding in a method for linear layers",
            remedy: "Exclude the module with `filters.exclude`, or choose another method."),
        .error(
            .mergeNonFinite, cause: "An operand holds NaN or infinity.", example: "'a' holds NaN in layers.3.q_proj",
            remedy: "Replace the operand; `non_finite: zero` in the recipe treats such values as zero."),
        .error(
            .mergeNotReproduced, cause: "Merging again gives other bytes than the result that is there.",
            example: "lorabank merge r.yaml --to merged/ --verify   (an input was replaced)",
            remedy: "Compare recipe, seed, inputs and program version with the result's provenance."),
        .error(
            .mergeNonfiniteResult, cause: "The merged factors overflow the output type.",
            example: "λ = 1e6 with dtype f16", remedy: "Use smaller weights, or `output.dtype: bf16` or `f32`."),
        .error(
            .recipeSyntax, cause: "The recipe is not YAML, or not of the shape that recipes have.",
            example: "line 4, column 7: a mapping is expected",
            remedy: "See `lorabank recipe schema` and docs/recipes.md."),
        .error(
            .recipeUnknownKey,
            cause: "The recipe holds a key that means nothing. Misspelt keys would otherwise be ignored in silence.",
            example: "merge_metod: ties", remedy: "Correct the key; the message names the nearest one."),
        .error(
            .recipeUnknownMethod, cause: "No method has this name.", example: "merge_method: tie",
            remedy: "`lorabank recipe methods` lists all."),
        .error(
            .recipeBadParameter,
            cause: "A parameter is unknown to the method, has the wrong type, or lies outside its range.",
            example: "density: 1.5", remedy: "`lorabank recipe methods NAME` shows parameters, ranges and defaults."),
        .error(
            .recipeSeedRequired,
            cause: "The method draws random numbers and the recipe gives no seed; the result could not be repeated.",
            example: "merge_method: dare_ties without seed", remedy: "Add `seed: 1` to the recipe, or `--seed 1`."),
        .error(
            .recipeZeroWeightSum, cause: "The weights add up to zero, and the method divides by their sum.",
            example: "weights 0.5 and -0.5 with normalize: true",
            remedy: "Change the weights, or set `normalize: false`."),
        .error(
            .numericNoConvergence, cause: "A decomposition did not converge; the numbers of this module are extreme.",
            example: "SVD of layers.3.q_proj did not converge",
            remedy: "Inspect the operands; scale them, or leave the module out."),
        .error(
            .numericDimensionLimit, cause: "A matrix exceeds what the linear algebra library can address.",
            example: "a dimension above 2147483647", remedy: "Exclude the module with `filters.exclude`."),
    ]
}
