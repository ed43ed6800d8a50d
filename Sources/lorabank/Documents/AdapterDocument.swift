import Bank
import Diagnostics
import WeightFiles

/// JSON of catalogue rows and findings: the keys that `list`, `show`, `import` and others share.
enum AdapterDocument {
    static func row(_ row: AdapterRow) -> [JSONValue.Member] {
        [
            .init("name", .string(row.name)), .init("version", .integer(row.version)),
            .init("object", .string(row.object)), .init("state", .string(row.state.rawValue)),
            .init("base_model", .string(row.baseModel)), .init("rank_min", .integer(row.rankMin)),
            .init("rank_max", .integer(row.rankMax)), .init("modules", .integer(row.modules)),
            .init("parameters", .integer(row.parameters)), .init("bytes", .integer(row.bytes)),
            .init("dtype", .string(row.dtype)), .init("tags", tags(row.tags)),
            .init("created_at", .string(row.createdAt)), .init("delta_id", .string(row.deltaID)),
            .init("kind", .string(row.kind)), .init("format", .string(row.format)),
            .init("source", .string(row.source)),
        ]
    }

    static func tags(_ tags: [String: [String]]) -> JSONValue {
        .object(tags.sorted { $0.key < $1.key }.map { .init($0.key, .texts($0.value)) })
    }

    static func finding(_ finding: Finding) -> JSONValue {
        .object([
            .init("code", .string(finding.code)), .init("level", .string(finding.level.rawValue)),
            .init("place", .string(finding.place)), .init("details", .optional(finding.details)),
        ])
    }

    static func imported(_ outcome: ImportOutcome) -> JSONValue {
        .object([
            .init("name", .string(outcome.name)), .init("version", .integer(outcome.version)),
            .init("object", .string(outcome.object)), .init("delta_id", .string(outcome.deltaID)),
            .init("state", .string(outcome.state.rawValue)), .init("base_model", .string(outcome.baseModel)),
            .init("format", .string(outcome.format)), .init("findings", .array(outcome.findings.map(finding))),
            .init("already_present", .bool(outcome.alreadyPresent)),
        ])
    }

    static func failure(_ failure: Failure) -> JSONValue {
        .object([
            .init("path", .optional(failure.path)), .init("code", .string(failure.code.name)),
            .init("exit", .integer(Int(failure.code.exitStatus))), .init("message", .string(failure.message)),
            .init("place", .optional(failure.place)), .init("hint", .optional(failure.hint)),
        ])
    }

    static func detail(_ detail: AdapterDetail) -> JSONValue {
        .object(
            row(detail.row) + [
                .init("module_list", .array(detail.modules.map(module))),
                .init("lineage", .array(detail.lineage.map(edge))),
                .init("metrics", .array(detail.metrics.map(metric))),
                .init("findings", .array(detail.findings.map(finding))),
                .init("notes", .array(detail.notes.map(note))), .init("aliases", .texts(detail.aliases)),
                .init("decisions", .array(detail.decisions.map(decision))),
                .init("recipe", detail.recipe.map(recipe) ?? .null), .init("files", .array(detail.files.map(file))),
                .init("origin", .optional(detail.row.origin)), .init("created_by", .string(detail.row.createdBy)),
                .init("title", .optional(detail.row.title)), .init("description", .optional(detail.row.description)),
                .init("licence", .optional(detail.row.licence)), .init("author", .optional(detail.row.author)),
            ])
    }

    private static func module(_ module: ModuleFacts) -> JSONValue {
        .object([
            .init("name", .string(module.name)), .init("d_out", .integer(module.dOut)),
            .init("d_in", .integer(module.dIn)), .init("rank", .integer(module.rank)),
            .init("scale", .double(module.scale)), .init("frobenius", .optional(module.frobenius)),
            .init("sigma1", .optional(module.sigma1)), .init("stable_rank", .optional(module.stableRank)),
            .init("kind", .string(module.kind)), .init("spectrum", .array(module.spectrum.map(JSONValue.double))),
        ])
    }

    private static func edge(_ edge: LineageEdge) -> JSONValue {
        .object([
            .init("direction", .string(edge.direction.rawValue)), .init("role", .string(edge.role)),
            .init("weight", .optional(edge.weight)), .init("object", .string(edge.object)),
            .init("reference", .optional(edge.reference)), .init("state", .optional(edge.state?.rawValue)),
            .init("removed", .bool(edge.removed)),
        ])
    }

    private static func metric(_ metric: Metric) -> JSONValue {
        .object([
            .init("dataset", .string(metric.dataset)), .init("split", .string(metric.split)),
            .init("name", .string(metric.name)), .init("value", .double(metric.value)), .init("n", .optional(metric.n)),
            .init("ci_low", .optional(metric.ciLow)), .init("ci_high", .optional(metric.ciHigh)),
            .init("step", .optional(metric.step)), .init("run", .optional(metric.run)), .init("at", .string(metric.at)),
        ])
    }

    private static func note(_ note: Note) -> JSONValue {
        .object([.init("text", .string(note.text)), .init("actor", .string(note.actor)), .init("at", .string(note.at))])
    }

    private static func decision(_ decision: DecisionRecord) -> JSONValue {
        .object([
            .init("decision", .string(decision.decision.rawValue)), .init("actor", .string(decision.actor)),
            .init("reason", .string(decision.reason)), .init("at", .string(decision.at)),
        ])
    }

    private static func recipe(_ recipe: RecipeRecord) -> JSONValue {
        .object([
            .init("recipe", .string(recipe.recipe)), .init("recipe_sha", .string(recipe.recipeSHA)),
            .init("program", .string(recipe.program)), .init("seed", .optional(recipe.seed)),
            .init("threads", .optional(recipe.threads)), .init("started_at", .string(recipe.startedAt)),
            .init("ended_at", .optional(recipe.endedAt)),
        ])
    }

    private static func file(_ file: ObjectFile) -> JSONValue {
        .object([
            .init("name", .string(file.name)), .init("size", .integer(file.size)),
            .init("digest", .string(file.digest)),
            .init("kind", .string(file.kind)),
        ])
    }
}
