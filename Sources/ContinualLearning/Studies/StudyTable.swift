import WeightFiles

/// The results of a study: one JSON document of `cil run` per setting and seed.
public struct StudyTable: Sendable {
    /// One setting under one head.
    public struct Row: Sendable {
        public var setting: StudySetting
        public var head: String
        public var last: SeedStatistics
        public var averageIncremental: SeedStatistics
        public var forgetting: SeedStatistics
        /// `last` minus that of the anchor `backbone` with the same head, over the seeds that both have.
        public var againstBackbone: PairedSeeds?
    }

    public var settings: [StudySetting]
    /// By setting and seed.
    public var results: [String: [Int: JSONValue]]

    public init(settings: [StudySetting], results: [String: [Int: JSONValue]]) {
        self.settings = settings
        self.results = results
    }

    /// Heads in the order of the documents; the first is the run's own.
    public var heads: [String] {
        for setting in settings {
            guard let document = results[setting.name]?.min(by: { $0.key < $1.key })?.value,
                let members = document["heads"]?.members, !members.isEmpty
            else { continue }
            return members.map(\.key)
        }
        return []
    }

    public var seeds: [Int] { Set(results.values.flatMap(\.keys)).sorted() }

    /// One number of every seed.
    public func values(_ setting: String, _ head: String, _ key: String) -> [Int: Double] {
        (results[setting] ?? [:]).compactMapValues { $0["heads"]?[head]?[key]?.double }
    }

    /// Settings in their order, for one head.
    public func rows(head: String) -> [Row] {
        let backbone = values("backbone", head, "last")
        return settings.map { setting in
            func statistics(_ key: String) -> SeedStatistics {
                SeedStatistics(values(setting.name, head, key).sorted { $0.key < $1.key }.map(\.value))
            }
            let own = values(setting.name, head, "last")
            return Row(
                setting: setting, head: head, last: statistics("last"),
                averageIncremental: statistics("avg_incremental"), forgetting: statistics("forgetting"),
                againstBackbone: setting.name == "backbone" ? nil : PairedSeeds(first: own, second: backbone))
        }
    }

    /// Sentences that a reader must not overlook (cil-engine 13).
    public var cautions: [String] {
        let runs = results.values.reduce(0) { $0 + $1.count }
        let candidates = settings.count { !$0.isAnchor && !(results[$0.name] ?? [:]).isEmpty }
        let leaky = results.values.contains { $0.values.contains { $0["leaky"]?.bool ?? false } }
        var lines = [
            "\(candidates) settings besides the anchors were run, \(runs) runs in all, each under \(heads.count) heads. "
                + "The best of several rows is not an unbiased result: it is partly the luckiest.",
            "Nothing was tuned within this study; the test data were read once per run, for this table.",
        ]
        if seeds.count < 3 {
            lines.append("Fewer than three seeds: the rows are not ranked, and no difference is called one.")
        } else {
            lines.append(
                "A difference is called clear only where both the bootstrap interval over paired seeds and Student's "
                    + "interval lie on one side of zero; with \(seeds.count) seeds the bootstrap alone is too narrow.")
        }
        let missing = settings.filter { (results[$0.name] ?? [:]).count < seeds.count }.map(\.name)
        if !missing.isEmpty { lines.append("Not finished for all seeds: \(missing.joined(separator: ", ")).") }
        if leaky { lines.append("LEAKY: at least one run chose on test data.") }
        return lines
    }

    /// What may be said about the settings under one head; nothing for fewer than three seeds.
    public func findings(head: String) -> [String] {
        guard seeds.count >= 3 else { return [] }
        let rows = rows(head: head).filter { !$0.setting.isAnchor && $0.againstBackbone != nil }
        guard !rows.isEmpty else { return [] }
        func names(_ chosen: [Row]) -> String { chosen.map(\.setting.name).joined(separator: ", ") }
        let clear = rows.filter { $0.againstBackbone?.isClear ?? false }
        let better = clear.filter { ($0.againstBackbone?.mean ?? 0) > 0 }
        let worse = clear.filter { ($0.againstBackbone?.mean ?? 0) < 0 }
        let open = rows.filter { !($0.againstBackbone?.isClear ?? false) }
        var lines: [String] = []
        lines.append(
            better.isEmpty
                ? "Head \(head): no setting is clearly above the frozen backbone with the same head."
                : "Head \(head): clearly above the frozen backbone with the same head: \(names(better)).")
        if !worse.isEmpty { lines.append("Clearly below it: \(names(worse)).") }
        if !open.isEmpty { lines.append("Not told apart from it: \(names(open)).") }
        return lines
    }
}
