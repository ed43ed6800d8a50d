import Diagnostics
import Settings

/// Checks a stage's parameters against its methods.
struct StageCheck {
    let registry: MethodRegistry

    /// - Throws: `recipe.unknown_key`, `recipe.bad_parameter` with the place.
    func check(_ stage: inout RecipeStage, notes: inout [PlanNote]) throws {
        let own = try method(stage.method, stage.compatibility)
        var all = [own]
        for override in stage.overrides {
            if let name = override.method { all.append(try method(name, stage.compatibility)) }
        }
        if stage.compatibility == .mergekit {
            MergekitForm.dropForeignParameters(&stage, methods: all, registry: registry, notes: &notes)
        }
        try stage.parameters.check(for: all, perAdapter: false)
        for model in stage.models { try model.parameters.check(for: all, perAdapter: true) }
        for layer in stage.layers {
            try layer.parameters.check(for: all, perAdapter: false)
            for model in layer.models { try model.parameters.check(for: all, perAdapter: true) }
        }
        for override in stage.overrides {
            let reached = [try override.method.map { try method($0, stage.compatibility) } ?? own]
            try override.parameters.check(for: reached, perAdapter: false)
            for model in override.models { try model.parameters.check(for: reached, perAdapter: true) }
        }
        try checkSequence(stage, own)
    }

    private func method(_ name: Located<String>, _ compatibility: Compatibility) throws -> MethodDescription {
        guard let found = registry.method(name.value, compatibility: compatibility) else {
            throw Failure(
                .recipeUnknownMethod, "there is no merge method '\(name.value)'", place: name.place.description)
        }
        return found
    }

    private func checkSequence(_ stage: RecipeStage, _ own: MethodDescription) throws {
        guard let sequence = stage.sequence, sequence.value != own.sequential else { return }
        throw Failure(
            .recipeBadParameter,
            own.sequential
                ? "'\(own.id)' takes its models one after the other"
                : "'\(own.id)' does not depend on the order of the models",
            place: sequence.place.description,
            hint: own.sequential ? "write sequence: true, or leave it out" : "leave 'sequence' out")
    }
}
