/// One setting of a study: a name and what it overrides in the study's configuration.
public struct StudySetting: Sendable, Hashable {
    public var name: String
    /// `key=value`, as for `--set`.
    public var overrides: [String]
    /// Lower or upper anchor, not a candidate.
    public var isAnchor: Bool
    /// For settings that train nothing: the setting whose adapters are merged, and by which recipe.
    public var merging: Merging?

    public struct Merging: Sendable, Hashable {
        public var source: String
        public var recipe: String
    }

    public init(_ name: String, _ overrides: [String], isAnchor: Bool = false) {
        self.name = name
        self.overrides = overrides
        self.isAnchor = isAnchor
    }

    /// `independent+tsv_m`: the adapters of the runs of `source`, merged by the shipped recipe of that name.
    public init(merging source: String, by recipe: String) {
        name = "\(source)+\(recipe)"
        overrides = []
        isAnchor = false
        merging = Merging(source: source, recipe: "recipes/merge/\(recipe).yaml")
    }
}

/// The studies that the program ships (cil-engine 14).
public enum StudyPreset: String, Sendable, CaseIterable {
    /// Structures × rules.
    case map
    /// {chain, moe-v0} × {ta, pam-lite}.
    case twoByTwo = "2x2"
    /// One, two and three time scales.
    case timescales

    /// Recipes that merge the adapters of `independent`, with the settings that they ship with.
    static let recipes = ["linear", "task_arithmetic", "ties", "dare_ties", "knots_ties", "tsv_m", "iso_c"]

    public var summary: String {
        switch self {
        case .map: "structures and consolidation rules against each other"
        case .twoByTwo: "chain and moe-v0, each with ta and pam-lite"
        case .timescales: "update periods of fast, mid and slow"
        }
    }

    /// The anchors `backbone` and `joint`, then the settings.
    public var settings: [StudySetting] {
        let anchors = ["backbone", "joint"].map { StudySetting($0, ["structure=\($0)"], isAnchor: true) }
        switch self {
        case .map:
            let rules = ["ta", "ties-lite", "pam-lite", "tsv", "orth"]
            return anchors
                + [
                    StudySetting("first-task", ["structure=single", "first_task_only=true"]),
                    StudySetting("single", ["structure=single"]),
                    StudySetting("single-ema", ["structure=single-ema"]),
                    StudySetting("independent", ["structure=independent"]),
                ]
                + Self.recipes.map { StudySetting(merging: "independent", by: $0) }
                + rules.map { StudySetting("chain/\($0)", ["structure=chain", "consolidation.rule=\($0)"]) }
                + [
                    StudySetting("moe-v0/ta", ["structure=moe-v0", "consolidation.rule=ta"]),
                    StudySetting("parallel/ta", ["structure=parallel", "consolidation.rule=ta"]),
                    // Its memory has the rank of the clone, whatever the others' slow has.
                    StudySetting("pam", ["structure=pam", "slow={storage: factors}"]),
                ]
        case .twoByTwo:
            return anchors
                + ["chain", "moe-v0"].flatMap { structure in
                    ["ta", "pam-lite"].map {
                        StudySetting("\(structure)/\($0)", ["structure=\(structure)", "consolidation.rule=\($0)"])
                    }
                }
        case .timescales:
            let periods = [(1, 1), (2, 8), (4, 16), (8, 64)]
            return anchors + [StudySetting("chain", ["structure=chain"])]
                + periods.map { mid, slow in
                    StudySetting(
                        "chain3/1-\(mid)-\(slow)",
                        [
                            "structure=chain3",
                            "time_scales.gradient_periods={fast: 1, mid: \(mid), slow: \(slow)}",
                        ])
                }
        }
    }
}
