import Diagnostics
import Foundation

/// Finds the value of every parameter for one module and one adapter: the precedence of merge-methods 7.3.
struct ParameterResolution {
    let stage: RecipeStage
    let layers: LayerPositions
    /// Where relative paths of parameters start.
    let folder: String

    /// What applies to a module.
    struct Site {
        var module: String
        var override: MethodOverride?
        var layer: LayerRangeEntry?
    }

    /// The first override and the first layer range that match.
    func site(_ module: String) -> Site {
        let layer = stage.layers.isEmpty ? nil : layers.layer(of: module)
        return Site(
            module: module, override: stage.overrides.first { $0.match.matches(tensor: module) },
            layer: layer.flatMap { number in stage.layers.first { $0.range.contains(number) } })
    }

    /// Parameters of the whole merge at a module.
    func shared(_ method: MethodDescription, at site: Site) throws -> [String: ParameterValue] {
        try values(method, perAdapter: false, at: site, entry: nil)
    }

    /// Parameters of one adapter at a module.
    ///
    /// - Parameter entry: index into the recipe's `models`.
    func adapter(_ method: MethodDescription, at site: Site, entry: Int) throws -> [String: ParameterValue] {
        try values(method, perAdapter: true, at: site, entry: entry)
    }

    private func values(
        _ method: MethodDescription, perAdapter: Bool, at site: Site, entry: Int?
    ) throws -> [String: ParameterValue] {
        var result: [String: ParameterValue] = [:]
        for declaration in method.parameters where declaration.perAdapter == perAdapter {
            if let value = try written(declaration, at: site, entry: entry) ?? declaration.defaultValue {
                result[declaration.name] = value
            } else if declaration.required {
                let model = entry.map { " for '\(stage.models[$0].reference.value)'" } ?? ""
                throw Failure(
                    .recipeBadParameter, "'\(method.id)' needs '\(declaration.name)'\(model)",
                    place: (site.override?.method ?? stage.method).place.description,
                    hint: "\(declaration.summary): \(declaration.expectation)")
            }
        }
        return result
    }

    private func written(
        _ declaration: ParameterDeclaration, at site: Site, entry: Int?
    ) throws -> ParameterValue? {
        func own(_ models: [ModelParameters]?) -> ParameterBlock? { models?.first { $0.model == entry }?.parameters }
        let blocks: [ParameterBlock?] = [
            own(site.override?.models), site.override?.parameters,
            own(site.layer?.models), site.layer?.parameters,
            entry.map { stage.models[$0].parameters }, stage.parameters,
        ]
        for block in blocks {
            if let setting = block?[declaration.name]?.setting,
                let value = try evaluate(setting, declaration, site.module)
            {
                return value
            }
        }
        return nil
    }

    /// nil where a filter or table says nothing about the module; the next level of precedence then decides.
    private func evaluate(
        _ setting: Setting, _ declaration: ParameterDeclaration, _ module: String
    ) throws -> ParameterValue? {
        switch setting {
        case .value(let written):
            let value = try declaration.value(written)
            guard declaration.kind == .file, case .text(let path) = value else { return value }
            return .text(path.hasPrefix("/") || folder.isEmpty ? path : folder + "/" + path)
        case .gradient(let numbers, let place):
            let number = LayerPositions.interpolate(numbers, at: layers.position(of: module))
            return try declaration.value(SettingValue(form: .number(number), place: place))
        case .filtered(let entries):
            guard let entry = entries.first(where: { $0.filter?.matches(tensor: module) ?? true }) else { return nil }
            return try evaluate(entry.value, declaration, module)
        case .perLayer(let table, _):
            return try layers.layer(of: module).flatMap { table[$0] }.map(declaration.value)
        case .perModule(let table, _):
            return try table[module].map(declaration.value)
        }
    }
}

extension RecipeStage {
    /// True when no parameter depends on the module, apart from the override and the layer range that it falls under.
    var hasConstantParameters: Bool {
        var blocks = [parameters] + models.map(\.parameters)
        for override in overrides { blocks += [override.parameters] + override.models.map(\.parameters) }
        for layer in layers { blocks += [layer.parameters] + layer.models.map(\.parameters) }
        return blocks.allSatisfy { block in
            block.entries.allSatisfy { entry in
                if case .value = entry.setting { true } else { false }
            }
        }
    }
}
