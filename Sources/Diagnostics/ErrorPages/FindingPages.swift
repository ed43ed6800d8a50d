// Pages of the findings: what an inspection reports without refusing the input.

extension ErrorPage {
    static let findingPages: [ErrorPage] = [
        .finding(
            .fileExecutableContent,
            cause: "A program or script travels with the adapter. It is never run, and never needed for the weights.",
            example: "custom_generate.py",
            remedy: "Read it before another program loads the folder with `trust_remote_code`."),
        .finding(
            .fileModeDropped, cause: "A member of the archive had special permission bits. They are not kept.",
            example: "mode 4755", remedy: "Nothing to do."),
        .finding(
            .fileLeftOut, cause: "The adapter folder holds a folder. An adapter is the files beside its configuration.",
            example: "checkpoint-10/", remedy: "Import the inner folder on its own when it is an adapter too."),
        .finding(
            .safetensorsUnknownField, cause: "The entry of a tensor holds a field that the format does not have.",
            example: "{\"dtype\":…,\"note\":…}", remedy: "Harmless as such; other readers may refuse the file."),
        .finding(
            .configLocalBasePath,
            cause: "The base model is named by somebody's local path, so that nobody else can find it.",
            example: "/home/alice/models/llama", remedy: "Import with `--base NAME` to name the model."),
        .finding(
            .configAssumed, cause: "The file says nothing about the scale; it is shown for alpha = rank.",
            example: "a bare .safetensors file", remedy: "Import with `--alpha A` and `--base B`."),
        .finding(
            .adapterUnknownKey, cause: "A tensor belongs to no module of the adapter. It is kept, and not used.",
            example: "base_model.model.extra.scale", remedy: "Check how the adapter was saved."),
        .finding(
            .adapterRankAboveDimensions, cause: "The rank is larger than the layer: storage is wasted.",
            example: "rank 64 on a 16×16 layer", remedy: "Merge it alone with `output.rank: max` to shrink it."),
        .finding(
            .adapterMaybeInactive,
            cause: "The adapter changes a layer whose module common training code skips: it may have learned nothing.",
            example: "backbone.layers.0.mixer.dt_proj of a Mamba model",
            remedy: "Look at the norm of its update; here such adapters do run."),
        .finding(
            .weightsZeroDelta, cause: "Every update is zero: the adapter changes nothing.",
            example: "lora_B was never trained", remedy: "Probably the wrong checkpoint."),
        .finding(
            .weightsZeroModule, cause: "Some modules have a zero update.", example: "layers.0.q_proj",
            remedy: "Harmless; perhaps training skipped them."),
        .finding(
            .weightsOutlier, cause: "The norm of a module lies far from those of its peers (robust z above 8).",
            example: "layers.7.q_proj has 1,000 times the norm of the others",
            remedy: "Look at it before approving: damage, a wrong scale, or an implanted behaviour."),
        .finding(
            .weightsSpectralOutlier,
            cause: "Nearly all energy of a module lies in one direction while its norm is high.",
            example: "99 % of Σσ² in σ1",
            remedy: "A hint, no proof, of an implanted behaviour: test the adapter before approving."),
        .finding(
            .nameControlCharacters,
            cause: "A name holds control characters, which could rewrite a terminal. They are shown escaped.",
            example: "q_proj\\u{1B}[2J", remedy: "Do not trust the file's author without a reason."),
        .finding(
            .pickleIgnored, cause: "A pickle lies beside the safetensors file. It is not opened, and not used.",
            example: "adapter_model.bin", remedy: "Nothing to do; delete it if other programs might prefer it."),
        .finding(
            .shardTotalSize, cause: "The index declares another total size than the shards have.",
            example: "total_size 1024, shards hold 2048", remedy: "Mostly harmless; fetch the files again if in doubt."),
        .finding(
            .cardMissingLicence,
            cause: "The model card names no licence: nobody knows what may be done with the weights.",
            example: "README.md without `license:`", remedy: "Ask the author; note the answer with `lorabank note`."),
        .finding(
            .cardMissingBase, cause: "The model card names no base model.", example: "README.md without `base_model:`",
            remedy: "Nothing to do when adapter_config.json names it."),
        .finding(
            .cardControlCharacters, cause: "The model card holds control characters, which could rewrite a terminal.",
            example: "README.md with \\u{1B}[2J", remedy: "Open it in an editor, not with `cat`."),
        .finding(
            .metadataLocalPath, cause: "The metadata hold a path of somebody's machine.",
            example: "/home/alice/data/train.json", remedy: "Harmless; remove it before publishing."),
        .finding(
            .metadataEmailAddress, cause: "The metadata hold an e-mail address.", example: "alice@example.org",
            remedy: "Remove it before publishing if its owner does not want it there."),
    ]
}
