import Diagnostics
import Settings

/// Turns a mergekit file whose models are adapters into our form (merge-methods 7.4).
///
/// A file with `compat: mergekit` is turned; so is one without `compat` and `version` that has a key only mergekit
/// knows. What has no meaning for adapters is left out with a note.
struct MergekitForm {
    /// Names of the file's documents: mergekit refers to them without `stage:`.
    let stageNames: [String]

    private static let ownKeys: Set<String> = [
        "dtype", "out_dtype", "slices", "tokenizer_source", "tokenizer", "chat_template", "allow_crimes",
    ]
    private static let meaningless: Set<String> = ["tokenizer_source", "tokenizer", "chat_template", "allow_crimes"]
    /// Methods on whole weights, for which the base is an operand like any other.
    private static let wholeWeightMethods: Set<String> = [
        "linear", "slerp", "nuslerp", "multislerp", "karcher", "nearswap", "arcee_fusion", "passthrough",
    ]

    func nativeTree(_ tree: YAMLNode, notes: inout [PlanNote]) throws -> YAMLNode {
        guard let members = tree.members else { return tree }
        if let compat = tree["compat"] {
            guard compat.scalar?.text == Compatibility.mergekit.rawValue else { return tree }
            return try rewritten(members, tree, &notes)
        }
        guard let mark = members.first(where: { MergekitForm.ownKeys.contains($0.key) }),
            !members.contains(where: { $0.key == "output" || $0.key == "search" || $0.key == "overrides" })
        else { return tree }
        notes.append(
            PlanNote(
                code: "recipe.mergekit_form",
                message: "read with compat: mergekit, because of its key '\(mark.key)'",
                place: mark.keyPlace.description))
        let compat = YAMLNode.text(Compatibility.mergekit.rawValue, at: mark.keyPlace)
        let named = YAMLNode.Member(key: "compat", keyPlace: mark.keyPlace, value: compat)
        return try rewritten(members + [named], tree, &notes)
    }

    private func rewritten(_ members: [YAMLNode.Member], _ tree: YAMLNode, _ notes: inout [PlanNote]) throws -> YAMLNode
    {
        var kept: [YAMLNode.Member] = []
        for member in members {
            if MergekitForm.meaningless.contains(member.key) {
                notes.append(MergekitForm.ignored(member.key, member.keyPlace))
            } else if member.key == "parameters" {
                var copy = member
                copy.value = MergekitForm.withoutInt8Mask(member.value, &notes)
                kept.append(copy)
            } else if member.key != "dtype" && member.key != "out_dtype" && member.key != "slices" {
                kept.append(member)
            }
        }
        if let type = members.last(where: { $0.key == "out_dtype" }) ?? members.first(where: { $0.key == "dtype" }) {
            try MergekitForm.setPrecision(type, in: &kept)
        }
        if let slices = members.first(where: { $0.key == "slices" }) {
            kept += try MergekitSlices(slices.value).members()
        }
        let base = kept.first { $0.key == "base_model" }?.value
        if let index = kept.firstIndex(where: { $0.key == "base_model" }), let base, base.members != nil {
            kept[index].value = try plainReference(base)
        }
        if let index = kept.firstIndex(where: { $0.key == "models" }), let items = kept[index].value.sequence {
            let method = kept.first { $0.key == "merge_method" }?.value.scalar?.text ?? ""
            kept[index].value = YAMLNode(
                .sequence(try models(items, base: base?.scalar?.text, method, &notes)), at: kept[index].value.place)
        }
        return YAMLNode(.mapping(kept), at: tree.place)
    }

    // MARK: Models

    private func models(
        _ items: [YAMLNode], base: String?, _ method: String, _ notes: inout [PlanNote]
    ) throws -> [YAMLNode] {
        var result: [YAMLNode] = []
        for item in items {
            guard var members = item.members, let index = members.firstIndex(where: { $0.key == "model" }) else {
                result.append(item)
                continue
            }
            let reference = try plainReference(members[index].value)
            if let base, reference.scalar?.text == base, !MergekitForm.wholeWeightMethods.contains(method) {
                notes.append(
                    PlanNote(
                        code: "recipe.base_in_models", message: "the base model is no operand of '\(method)'",
                        place: reference.place.description))
                continue
            }
            members[index].value = reference
            if let parameters = members.firstIndex(where: { $0.key == "parameters" }) {
                members[parameters].value = MergekitForm.withoutInt8Mask(members[parameters].value, &notes)
            }
            result.append(YAMLNode(.mapping(members), at: item.place))
        }
        return result
    }

    /// `base+lora` and `{model: …, lora: …}` become the adapter; the name of another document gets `stage:`.
    private func plainReference(_ node: YAMLNode) throws -> YAMLNode {
        if node.members != nil {
            guard let inner = (node["lora"].flatMap { $0.isNull ? nil : $0 }) ?? node["model"] else {
                throw Failure(
                    .recipeBadParameter, "the model has neither 'model' nor 'lora'", place: node.place.description)
            }
            return try plainReference(inner["path"] ?? inner)
        }
        guard let text = node.scalar?.text else { return node }
        if stageNames.contains(text) { return .text("stage:" + text, at: node.place) }
        if let plus = text.firstIndex(of: "+") {
            let adapter = text[text.index(after: plus)...]
            if !adapter.isEmpty { return .text(String(adapter), at: node.place) }
        }
        return node
    }

    // MARK: Settings

    private static func ignored(_ key: String, _ place: SourcePlace) -> PlanNote {
        PlanNote(
            code: "recipe.ignored_key", message: "'\(key)' has no meaning for adapters and is ignored",
            place: place.description)
    }

    private static func withoutInt8Mask(_ node: YAMLNode, _ notes: inout [PlanNote]) -> YAMLNode {
        guard let members = node.members, let mask = members.first(where: { $0.key == "int8_mask" }) else {
            return node
        }
        notes.append(ignored(mask.key, mask.keyPlace))
        return YAMLNode(.mapping(members.filter { $0.key != "int8_mask" }), at: node.place)
    }

    private static func setPrecision(_ type: YAMLNode.Member, in members: inout [YAMLNode.Member]) throws {
        let names = ["float32": "f32", "float16": "f16", "bfloat16": "bf16", "auto": "keep"]
        guard let text = type.value.scalar?.text, let precision = names[text] else {
            throw Failure(
                .recipeBadParameter,
                "'\(type.key)' must be one of \(names.keys.sorted().joined(separator: ", ")), "
                    + "found \(type.value.whatItIs)",
                place: type.value.place.description)
        }
        let entry = YAMLNode.Member(
            key: "dtype", keyPlace: type.keyPlace, value: .text(precision, at: type.value.place))
        guard let index = members.firstIndex(where: { $0.key == "output" }) else {
            let output = YAMLNode(.mapping([entry]), at: type.keyPlace)
            members.append(YAMLNode.Member(key: "output", keyPlace: type.keyPlace, value: output))
            return
        }
        guard let own = members[index].value.members, !own.contains(where: { $0.key == "dtype" }) else { return }
        members[index].value.content = .mapping(own + [entry])
    }

    /// mergekit ignores parameters that a method does not use; those that some method of its knows are dropped with a
    /// note, others stay and are refused.
    static func dropForeignParameters(
        _ stage: inout RecipeStage, methods: [MethodDescription], registry: MethodRegistry, notes: inout [PlanNote]
    ) {
        let all = registry.all.filter { $0.compatibilities.contains(.mergekit) }
        let known = Set(all.flatMap { $0.parameters.map(\.name) })
        let used = methods.flatMap(\.parameters)
        func reduce(_ block: inout ParameterBlock, perAdapter: Bool) {
            block.entries.removeAll { entry in
                let isUsed = used.contains { $0.name == entry.name && (!perAdapter || $0.perAdapter) }
                guard !isUsed, known.contains(entry.name) else { return false }
                notes.append(
                    PlanNote(
                        code: "recipe.ignored_key",
                        message: "'\(methods[0].id)' does not use '\(entry.name)' here", place: entry.place.description)
                )
                return true
            }
        }
        reduce(&stage.parameters, perAdapter: false)
        for index in stage.models.indices { reduce(&stage.models[index].parameters, perAdapter: true) }
        for index in stage.layers.indices {
            reduce(&stage.layers[index].parameters, perAdapter: false)
            for model in stage.layers[index].models.indices {
                reduce(&stage.layers[index].models[model].parameters, perAdapter: true)
            }
        }
    }
}
