import Settings

/// Keys of a file that its structure does not look at: reported, so that nobody believes in a setting without effect.
enum UnusedKeys {
    static func of(_ reader: FieldReader, _ run: RunConfiguration) -> [String] {
        var unused: [String] = []
        func say(_ key: String, unless used: Bool) {
            if !used, let node = reader[key], !node.isNull, node.scalar?.text != "none" { unused.append(key) }
        }
        let structure = run.structure
        say("slow", unless: structure.hasSlow)
        say("consolidation", unless: structure.consolidates && structure != .pam)
        say("align", unless: [.chain, .chain3, .moe, .parallel].contains(structure))
        say("pam", unless: structure == .pam)
        say("experts", unless: structure == .parallel || structure == .moe)
        say("eval_rule", unless: structure.usesEvalRule)
        say("gate", unless: structure.usesEvalRule && run.evaluationRule == .gate)
        say("time_scales", unless: structure == .chain3)
        say("selection", unless: structure == .parallel)
        for key in ["rank", "lora_alpha", "sites", "blocks", "factor_mode", "first_task_only"] {
            say(key, unless: structure != .backbone)
        }
        say("protocol", unless: structure != .joint)
        if structure.consolidates, structure != .pam, reader["consolidation"]?.members != nil,
            let fields = try? reader.mapping("consolidation"),
            let method = try? Consolidation.method(run.consolidation.rule.id)
        {
            unused += ConsolidationRule.strayKeys(fields, rule: method).map { "consolidation." + $0 }
        }
        if structure == .moe, let experts = reader["experts"]?.members {
            unused += experts.map(\.key).filter { $0 != "k" }.map { "experts." + $0 }
        }
        return unused
    }
}
