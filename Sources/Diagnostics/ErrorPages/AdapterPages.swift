// Pages of the areas `config`, `adapter`, `weights`: what an adapter says about itself.

extension ErrorPage {
    static let configurationPages: [ErrorPage] = [
        .error(
            .configMissing, cause: "There are weights, but nothing says how they are meant: no adapter_config.json.",
            example: "lorabank import lora.safetensors",
            remedy: "Put adapter_config.json beside the weights, or give `--alpha A` and `--base B`."),
        .error(
            .configNotJson,
            cause: "The configuration is not JSON; Python literals such as None, NaN or 'r' are not JSON.",
            example: "{'r': 8}", remedy: "Save the configuration with `json.dumps`."),
        .error(
            .configTooDeep, cause: "The configuration nests deeper than 64 levels.", example: "[[[[[[[[…",
            remedy: "Remove the nested value."),
        .error(
            .configTooLarge, cause: "The configuration is larger than 16 MiB.",
            example: "a vocabulary inside adapter_config.json",
            remedy: "Move the data into a file of its own."),
        .error(
            .configDuplicateKey, cause: "A key stands twice. Readers disagree about which one counts.",
            example: "{\"r\": 8, \"r\": 16}", remedy: "Delete the wrong line."),
        .error(
            .configMissingField, cause: "A field that the weights cannot be read without is absent.",
            example: "adapter_config.json without peft_type", remedy: "Add the field, as PEFT writes it."),
        .error(
            .configBadType, cause: "A field has the wrong JSON type.", example: "\"r\": \"8\"",
            remedy: "Write the value as the message says, e.g. \"r\": 8."),
        .error(
            .configBadValue, cause: "A field has the right type and an impossible value.",
            example: "\"r\": 0, or \"lora_alpha\": 1e999",
            remedy: "Correct the value; rank is at least 1, alpha is finite."),
        .error(
            .configUnsupportedType,
            cause: "The adapter is of a kind that is no weight update (prompts, prefixes) or not known.",
            example: "\"peft_type\": \"PROMPT_TUNING\"",
            remedy: "Only weight updates can be kept and merged: LoRA first of all."),
        .error(
            .configFeatureUnsupported,
            cause: "The configuration uses a feature that gives the weights a meaning this program does not compute.",
            example: "\"layer_replication\": [[0, 16], [8, 24]]",
            remedy: "Train or save the adapter without that feature."),
    ]

    static let adapterPages: [ErrorPage] = [
        .error(
            .adapterWeightsMissing, cause: "There is a configuration, but no weight file beside it.",
            example: "a folder with adapter_config.json alone", remedy: "Add adapter_model.safetensors."),
        .error(
            .adapterEmpty, cause: "The file is well formed and holds no tensor, or none that belongs to an adapter.",
            example: "an upload of an empty state dict",
            remedy: "Save the adapter again; look at its tensors before uploading."),
        .error(
            .adapterPairMissing,
            cause: "A module has lora_A without lora_B, the reverse, or DoRA without its magnitudes.",
            example: "q_proj.lora_A.weight without q_proj.lora_B.weight",
            remedy: "Save the adapter again; a part of it was lost."),
        .error(
            .adapterRankMismatch,
            cause: "The rows of lora_A, the columns of lora_B and the rank of the configuration differ.",
            example: "lora_A has 16 rows, the configuration says r = 8",
            remedy: "Correct r or rank_pattern in adapter_config.json so that it tells the truth about the tensors."),
        .error(
            .adapterShapeMismatch,
            cause: "A factor does not have the number of dimensions its layer needs, or one is zero.",
            example: "lora_A has shape [64] (a flattened, sharded save)", remedy: "Gather the parameters before saving."
        ),
        .error(
            .adapterBadDtype, cause: "A factor does not hold floating-point numbers.",
            example: "lora_A stored as I64", remedy: "Save the adapter as F32, F16 or BF16."),
        .error(
            .adapterDuplicateModule, cause: "Two keys name the same factor of the same module in two spellings.",
            example: "q_proj.lora_A.weight beside q_proj.lora_A.default.weight",
            remedy: "Keep one of them and save again."),
        .error(
            .weightsNan, cause: "A tensor holds NaN: training diverged, or the file is damaged.",
            example: "lora_B of layer 3 holds NaN at 17",
            remedy: "Use an earlier checkpoint. Nothing useful can be made of NaN."),
        .error(
            .weightsInf, cause: "A tensor holds an infinity: an overflow during training or while converting to F16.",
            example: "-inf in a BF16 tensor", remedy: "Use an earlier checkpoint, or convert from F32 again."),
        .error(
            .weightsNonfiniteDelta, cause: "The factors are finite, but scale · B · A overflows 32-bit numbers.",
            example: "entries of 1e30 in both factors", remedy: "The adapter is damaged: use an earlier checkpoint."),
    ]
}
