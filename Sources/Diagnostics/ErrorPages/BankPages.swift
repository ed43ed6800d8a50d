// Pages of the areas `bank`, `policy`, `usage`, `reference`, `output`, `state`, `io` and `internal`.

extension ErrorPage {
    static let bankPages: [ErrorPage] = [
        .error(
            .bankMissing,
            cause: "No bank was found: not by `--bank`, nor LORABANK_BANK, nor a folder `bank/` going up.",
            example: "lorabank list", remedy: "`lorabank init` makes one; `--bank DIR` names one."),
        .error(
            .bankVersion, cause: "The bank was written by a newer program, or the program cannot read its version.",
            example: "version = 7 in lorabank.toml", remedy: "Use a newer lorabank."),
        .error(
            .bankCorrupt, cause: "The bank's own files are damaged: the catalogue, or lorabank.toml.",
            example: "catalogue.sqlite is no database",
            remedy: "`lorabank check` tells what is damaged; restore it from a copy."),
        .error(
            .bankObjectMissing, cause: "The catalogue names an object whose file is gone.",
            example: "objects/ab/abcd….tar does not exist",
            remedy: "Put the file back from a copy, or import the adapter again."),
        .error(
            .bankObjectDigest, cause: "The bytes of an object no longer have the digest that is its name.",
            example: "a flipped bit on the disk",
            remedy: "Put the file back from a copy, or import the adapter again; test the disk."),
        .error(
            .bankAuditChain, cause: "A row of the audit log was changed, removed, inserted or exchanged.",
            example: "row 17 does not follow from row 16",
            remedy: "Find out who wrote to catalogue.sqlite; compare with a copy and with noted heads."),
        .error(
            .bankLocked, cause: "Another process holds the bank's lock longer than `--lock-timeout`.",
            example: "lorabank gc runs", remedy: "Wait until it ends. A dead process holds no lock."),
        .error(
            .bankReadOnly, cause: "The bank lies on a read-only file system or belongs to somebody else.",
            example: "lorabank tag a K=V on a read-only mount", remedy: "Reading works; write to a copy."),
        .error(
            .policyNotApproved,
            cause: "The bank's policy is strict and the adapter is not approved, or it was rejected.",
            example: "lorabank merge --method ties a b",
            remedy: "`lorabank approve REF --reason …`, or `--allow-unapproved` (recorded)."),
        .error(
            .policyNotSigned, cause: "The policy asks for signatures and the adapter has none.",
            example: "require_signature = true", remedy: "Have it signed by a trusted key."),
        .error(
            .policyUntrustedKey, cause: "The signature comes from a key that the bank does not trust.",
            example: "a key that is not in keys/", remedy: "Check the key with its owner, then add it to keys/."),
        .error(
            .policyRevoked, cause: "The adapter was revoked: it must not be used any more.",
            example: "lorabank export bad --to out", remedy: "`lorabank show REF` tells why. Use another version."),
        .error(
            .policyBadSignature, cause: "The signature does not fit the object.", example: "the object was exchanged",
            remedy: "Fetch the adapter again from its owner."),
    ]

    static let usagePages: [ErrorPage] = [
        .error(
            .usageBadArgument,
            cause: "The command line is wrong: an unknown command or option, a missing or impossible value.",
            example: "lorabank lsit", remedy: "`lorabank COMMAND --help` begins with an example."),
        .error(
            .usageBadQuery, cause: "The search text does not follow the find language.",
            example: "lorabank find 'rnak<=8'", remedy: "`lorabank help find` explains fields and operators."),
        .error(
            .usageNeedsAnswer, cause: "The command would ask, and standard input is no terminal.",
            example: "lorabank rm a < /dev/null",
            remedy: "Give the answer with the option that the message names, mostly `--yes`."),
        .error(
            .referenceNotFound, cause: "No adapter has this name, version, alias, id or tag.",
            example: "lorabank show vti", remedy: "`lorabank list` shows the names; the message names near ones."),
        .error(
            .referenceAmbiguous, cause: "Several adapters fit the reference, and one is needed.",
            example: "id:12345678 fits two objects", remedy: "Write a longer id, or name@version."),
        .error(
            .outputExists, cause: "The target exists and is not overwritten unasked.",
            example: "lorabank export a --to out   (out exists)", remedy: "Choose another path, or add `--force`."),
        .error(
            .outputNameTaken, cause: "The name belongs to something else already.",
            example: "an alias that is set for another version", remedy: "Choose another name."),
        .error(
            .stateNotAllowed, cause: "The adapter cannot go from its state to the one asked for.",
            example: "revoke of a pending adapter",
            remedy: "pending → approved → revoked; pending → rejected → pending."),
        .error(
            .ioNotFound, cause: "There is no such file or folder.", example: "lorabank import nowhere",
            remedy: "Check the spelling; relative paths start at the working folder, in recipes at the recipe."),
        .error(
            .ioFailed, cause: "The system refused to read or write.", example: "permission denied",
            remedy: "Check permissions and the state of the disk; the message names the system's reason."),
        .error(
            .ioNoSpace, cause: "The disk or the quota is full. Nothing half-written is left behind.",
            example: "no space left on device", remedy: "Free space (`lorabank gc --prune`) and repeat."),
        .error(
            .ioTooLarge, cause: "A file is larger than the limit for its kind.", example: "a configuration of 1 GiB",
            remedy: "Check that the right file was named."),
        .error(
            .internalDefect, cause: "The program contradicted itself. This is a defect, not a mistake of yours.",
            example: "lorabank merge … ended with exit 1",
            remedy: "Please report it with the command, the version and the output of `-vv`."),
    ]

    static let dataPages: [ErrorPage] = [
        .error(
            .dataMalformed, cause: "A data set's file is damaged or contradicts itself or its labels.",
            example: "10,000 images and 9,999 labels", remedy: "Fetch the data set again and compare its check sums."),
        .error(
            .dataUnsupported, cause: "The data are valid, but of a kind that the program does not read.",
            example: "a colour image where grey ones are expected", remedy: "Convert the data; docs/ lists the formats."
        ),
        .error(
            .dataMissing, cause: "A data set, a split or a column is not there.",
            example: "split: test without test.tsv", remedy: "Check the folder and the names in meta.json."),
        .error(
            .dataTooFew, cause: "There are fewer samples than were asked for.",
            example: "100 samples per class of a class that has 60", remedy: "Ask for fewer, or add data."),
    ]

    static let backbonePages: [ErrorPage] = [
        .error(
            .backboneMissingTensor, cause: "The weights of the backbone lack a tensor that its configuration asks for.",
            example: "blocks.5.attn.qkv.weight is not in model.safetensors",
            remedy: "Check that config.json and model.safetensors belong together."),
        .error(
            .backboneUnexpectedTensor, cause: "The weights hold a tensor that the configured backbone does not have.",
            example: "blocks.12.… in a backbone of 12 layers",
            remedy: "Check that config.json and model.safetensors belong together."),
        .error(
            .backboneShapeMismatch,
            cause: "A tensor of the backbone has another shape than its configuration asks for.",
            example: "pos_embed is 1×197×768, the configuration says 1×17×128",
            remedy: "Check that config.json and model.safetensors belong together."),
        .error(
            .backboneAdapterMismatch, cause: "The adapter has modules or shapes that this backbone does not have.",
            example: "an adapter for a text model on a vision transformer",
            remedy: "`lorabank show REF` names the base model: use that backbone."),
        .error(
            .backboneBadInput, cause: "The input does not fit the backbone: images for a text model, or another size.",
            example: "28×28 images for a backbone of 224×224", remedy: "Use the data that the suite was written for."),
        .error(
            .cilInvariant, cause: "A check of the learning engine on itself failed, and the run is strict.",
            example: "a slot that does not belong to the task has changed",
            remedy: "Report it with the configuration; `invariants: warn` goes on and marks the run."),
    ]
}
