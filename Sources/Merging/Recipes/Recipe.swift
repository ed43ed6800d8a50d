import Settings

/// A recipe as it was written: keys checked, values typed, references and patterns not yet applied to adapters.
///
/// ``RecipeReader`` makes it from YAML or from options; ``RecipePlanner`` turns it into ``StagePlan``s.
public struct Recipe: Sendable {
    /// The file, nil for a recipe made from options.
    public var path: String?
    /// Where relative paths in the recipe start.
    public var folder: String
    public var name: String?
    /// In file order; at least one. The order of execution is found by the planner.
    public var stages: [RecipeStage]
    /// Index of the stage whose result is the recipe's.
    public var resultIndex: Int
    public var search: SearchSettings?
    /// What the reader noticed and went on: keys of another tool that have no meaning here and the like.
    public var notes: [PlanNote]

    /// Name of the result: `output.name`, else that of the recipe.
    public var outputName: String? { stages[resultIndex].output.name ?? name }
}

/// One stage: a merge method and what it is applied to.
public struct RecipeStage: Sendable {
    /// Empty for the only stage of a recipe without a name.
    public var name: String
    /// Where the stage begins.
    public var place: SourcePlace
    public var method: Located<String>
    public var compatibility: Compatibility
    public var baseModel: Located<String>?
    public var models: [ModelEntry]
    public var parameters: ParameterBlock
    public var filters: ModuleFilters
    public var overrides: [MethodOverride]
    public var layers: [LayerRangeEntry]
    /// Where the number of the layer stands: see ``LayerIndex``.
    public var layerPattern: ModulePattern?
    public var sequence: Located<Bool>?
    public var post: [PostStepEntry]
    public var missing: MissingRule
    public var others: OthersRule?
    public var seed: UInt64?
    public var output: OutputSettings
    public var limits: LimitSettings
    public var allowBaseMismatch: Bool
    public var zeroNonFinite: Bool
    /// Patterns of module and tensor names that are left out of every adapter.
    public var ignore: [ModulePattern]
    public var dropZeroWeight: Bool
    public var padRanks: Bool
}

/// `models[i]`.
public struct ModelEntry: Sendable {
    /// The reference without `stage:`; see ``isStage``.
    public var reference: Located<String>
    /// The result of another stage.
    public var isStage: Bool
    public var parameters: ParameterBlock
}

/// `filters`: a module takes part when some pattern of `include` matches (or there is none) and none of `exclude`.
public struct ModuleFilters: Sendable {
    public var include: [ModulePattern]
    public var exclude: [ModulePattern]

    public init(include: [ModulePattern] = [], exclude: [ModulePattern] = []) {
        self.include = include
        self.exclude = exclude
    }

    public func admit(_ module: String) -> Bool {
        (include.isEmpty || include.contains { $0.matches(module) }) && !exclude.contains { $0.matches(module) }
    }
}

/// Parameters of single adapters inside `overrides` and `layers`.
public struct ModelParameters: Sendable {
    /// Index into `RecipeStage.models`.
    public var model: Int
    public var parameters: ParameterBlock
}

/// `overrides[j]`: another method or other parameters for the modules that match.
public struct MethodOverride: Sendable {
    public var match: ModulePattern
    public var place: SourcePlace
    public var method: Located<String>?
    public var parameters: ParameterBlock
    public var models: [ModelParameters]
}

/// `layers[j]`: parameters for the layers `range.lowerBound ..< range.upperBound`.
public struct LayerRangeEntry: Sendable {
    public var range: Range<Int>
    public var place: SourcePlace
    public var parameters: ParameterBlock
    public var models: [ModelParameters]
}

/// One step of `post`.
public struct PostStepEntry: Sendable {
    public var id: Located<String>
    public var parameters: ParameterBlock
}

/// `output`; what is nil was not written.
public struct OutputSettings: Sendable {
    public var name: String?
    public var rank: OutputRank?
    public var precision: OutputPlan.Precision?
    public var split: FactorSplit?
    public var uniform: Bool?
    public var tags: [String: String] = [:]
    public var sink: Located<String>?
}

/// `limits`; what is nil was not written.
public struct LimitSettings: Sendable {
    public var memoryBytes: Int?
    public var threads: Int?
}

/// `search`: which settings to try. Reading and checking only; merging refuses a recipe with it.
public struct SearchSettings: Sendable {
    public enum Strategy: String, Sendable, CaseIterable {
        case grid, coordinate
        case evolution = "cma_es"
    }

    public struct Dimension: Sendable {
        /// A parameter, or a dotted path like `models[*].weight`.
        public var key: String
        public var values: [YAMLNode]
        public var place: SourcePlace
    }

    /// Sorted by key.
    public var over: [Dimension]
    public var strategy: Strategy
    public var evaluator: String?
    public var budget: Int?
    public var place: SourcePlace
}
