import Diagnostics
import Foundation
import Settings

/// Reads recipes: YAML with one stage, several documents, or `stages:`; or the options of `merge --method`.
///
/// ```swift
/// let smaller = try SettingOverride("output.rank=32")
/// let recipe = try RecipeReader().read(path: "recipes/merge/ties.yaml", overrides: [smaller])
/// ```
/// Everything that can be known without the adapters is checked here: keys, types, methods, parameters, ranges,
/// patterns, the order of stages.
public struct RecipeReader: Sendable {
    public var registry: MethodRegistry
    public var limits = YAMLLimits()

    public init(registry: MethodRegistry = .standard) { self.registry = registry }

    /// - Throws: `io.*`, and as ``read(text:folder:overrides:)`` with `path` filled in.
    public func read(path: String, overrides: [SettingOverride] = []) throws -> Recipe {
        let text = try RecipeFile.text(at: path, limit: limits.bytes)
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            var recipe = try read(text: text, folder: folder, overrides: overrides)
            recipe.path = path
            return recipe
        } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }

    /// - Parameters:
    ///   - folder: where relative paths in the recipe start.
    ///   - overrides: `--set` options, applied in order before anything is checked.
    /// - Throws: `recipe.syntax`, `recipe.unknown_key`, `recipe.unknown_method`, `recipe.bad_parameter`, each with line
    ///   and column or the option.
    public func read(text: String, folder: String, overrides: [SettingOverride] = []) throws -> Recipe {
        let documents = try YAMLReader.documents(in: text, limits: limits).filter { !$0.isNull }
        guard let first = documents.first else {
            throw Failure(
                .recipeSyntax, "the recipe is empty", place: SourcePlace.file(line: 1, column: 1).description,
                hint: "see recipes/merge/ for recipes to start from")
        }
        var root = first
        if documents.count > 1 {
            root = .mapping([("stages", YAMLNode(.sequence(documents), at: first.place))], at: first.place)
        }
        return try read(tree: root, folder: folder, overrides: overrides)
    }

    /// The recipe of `merge --method M REF…`.
    ///
    /// - Parameter overrides: a bare name that is a parameter of the method sets that parameter; everything else is a
    ///   path into the recipe.
    public func inline(
        method: String, references: [String], folder: String, overrides: [SettingOverride] = []
    ) throws -> Recipe {
        let place = SourcePlace.option("--method \(method)")
        let models = references.map { reference in
            YAMLNode.mapping(
                [("model", .text(reference, at: .option(reference)))], at: .option(reference))
        }
        let root = YAMLNode.mapping(
            [("merge_method", .text(method, at: place)), ("models", YAMLNode(.sequence(models), at: place))], at: place)
        let compatibility = overrides.last { $0.path.segments == [.key("compat")] }?.value.scalar?.text
        let description = registry.method(method, compatibility: Compatibility(rawValue: compatibility ?? "") ?? .none)
        let parameters = Set(description?.parameters.map { String($0.name.prefix { $0 != "." }) } ?? [])
        let directed = overrides.map { override in
            guard case .key(let key) = override.path.segments.first else { return override }
            let isOther = StageReader.keys.contains(key) || override.path.segments.count > 1
            guard parameters.contains(key) || !isOther else { return override }
            var copy = override
            copy.path.segments.insert(.key("parameters"), at: 0)
            return copy
        }
        return try read(tree: root, folder: folder, overrides: directed)
    }

    /// Reads a tree, e.g. one that another program's form was turned into.
    func read(tree: YAMLNode, folder: String, overrides: [SettingOverride]) throws -> Recipe {
        var root = tree
        for override in overrides { root = try override.applied(to: root) }
        let fields = try FieldReader(root, what: "", emptyIsMapping: false)
        try checkVersion(fields)
        var notes: [PlanNote] = []
        var search: SearchSettings?
        if let inner = try fields.mapping("search") { search = try SearchReader.search(inner) }
        let isStaged = fields["stages"] != nil
        let trees = isStaged ? try StageList.trees(fields) : [StageList.single(root)]
        var stages = try trees.map { try stage($0, among: trees, notes: &notes) }
        let graph = try StageGraph(stages)
        if isStaged { try StageList.complete(&stages, result: graph.result, fields) }
        for index in graph.unused {
            notes.append(
                PlanNote(
                    code: "recipe.unused_stage", message: "nothing uses the stage '\(stages[index].name)'",
                    place: stages[index].place.description))
        }
        let name = try fields.text("name")?.value ?? stages[graph.result].name
        return Recipe(
            path: nil, folder: folder, name: name.isEmpty ? nil : name, stages: stages, resultIndex: graph.result,
            search: search, notes: notes)
    }

    private func stage(_ tree: YAMLNode, among trees: [YAMLNode], notes: inout [PlanNote]) throws -> RecipeStage {
        let names = trees.compactMap { $0["name"]?.scalar?.text }
        let tree = try MergekitForm(stageNames: names).nativeTree(tree, notes: &notes)
        var stage = try StageReader(registry: registry).stage(tree)
        try StageCheck(registry: registry).check(&stage, notes: &notes)
        return stage
    }

    private func checkVersion(_ fields: FieldReader) throws {
        guard let node = fields["version"] else { return }
        guard FieldReader.integer(node) == 1 else {
            throw Failure(
                .recipeBadParameter, "'version' must be 1, found \(node.whatItIs)", place: node.place.description,
                hint: "this program reads recipes of version 1")
        }
    }
}
