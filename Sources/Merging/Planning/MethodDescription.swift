/// How exactly a method can be computed on factors (merge-methods 0.5).
public enum ExactnessClass: String, Sendable, CaseIterable {
    /// Coefficients from inner products: exact in factor space.
    case gram = "G"
    /// Singular vectors and values: exact in factor space.
    case spectral = "S"
    /// Elementwise in aligned coordinates: exact for what it defines.
    case coordinates = "K"
    /// Elementwise on ΔW: a pass over all entries, then recompression.
    case elementwise = "E"
    /// On the factors themselves: depends on how an adapter is factored.
    case factors = "F"

    /// One sentence for help texts.
    public var summary: String {
        switch self {
        case .gram: "exact in factor space: a weighted sum whose weights come from inner products"
        case .spectral: "exact in factor space: works on singular values and vectors"
        case .coordinates: "elementwise in coordinates that the adapters share; exact for what it defines"
        case .elementwise: "elementwise on the full update, then compressed to low rank again"
        case .factors: "works on A and B separately; the result depends on how an adapter is factored"
        }
    }

    /// `output.rank` when the recipe gives none (merge-methods 4.1).
    public var defaultRank: OutputRank { self == .elementwise ? .auto : .keep }
}

/// What a method makes of `base_model` when its operands are full checkpoints.
public enum BaseUse: String, Hashable, Sendable, CaseIterable {
    /// The operands are updates W_i − W_base; without a base the stage is refused.
    case required
    /// Updates where a base is given, else the weights W_i themselves.
    case optional
    /// The base, when one is given, is the first operand, and all operands are weights; the result is weights too.
    case operand
    /// Updates, and beside them the base weights: `MethodContext.baseOperand` tells where a class E rule finds them.
    case beside
}

/// What a merge method or post-step says about itself. It stands in the method's own file; the validator, `recipe
/// methods`, the help and the schema read it from there.
public struct MethodDescription: Hashable, Sendable {
    public enum Role: Hashable, Sendable {
        case merge
        /// A step of `post:` that may follow methods of these classes.
        case post(after: Set<ExactnessClass>)
    }

    /// The name in `merge_method`, e.g. `tsv_m`.
    public var id: String
    /// The name for people, e.g. `Task Singular Vectors, merge`.
    public var title: String
    /// What it does and when to use it, one or two sentences.
    public var summary: String
    public var exactness: ExactnessClass
    public var role: Role
    /// Under which `compat` values the name is known; `[.none]` for native methods.
    public var compatibilities: Set<Compatibility>
    /// Paper and code, e.g. `arXiv 2412.00081; AntoAndGar/task_singular_vectors`.
    public var source: String
    /// In the order of the help.
    public var parameters: [ParameterDeclaration]
    /// Fewest adapters that the method is defined for.
    public var minimumAdapters: Int
    /// nil: any number.
    public var maximumAdapters: Int?
    /// Draws random numbers: the recipe must give a seed.
    public var random: Bool
    /// The adapters are a stream in recipe order.
    public var sequential: Bool
    /// An adapter with weight 0 would still shape the result (its directions stay in the geometry), so the planner
    /// leaves it out unless `drop_zero_weight: false`.
    public var dropsZeroWeight: Bool
    /// `output.rank` when the recipe gives none.
    public var defaultRank: OutputRank
    /// What full checkpoints are to this method.
    public var baseUse: BaseUse
    /// Time and memory, one sentence.
    public var cost: String
    /// Known to be a reading of an incomplete description.
    public var experimental: Bool

    public init(
        id: String, title: String, summary: String, exactness: ExactnessClass, role: Role = .merge,
        compatibilities: Set<Compatibility> = [.none], source: String, parameters: [ParameterDeclaration],
        minimumAdapters: Int = 1, maximumAdapters: Int? = nil, random: Bool = false, sequential: Bool = false,
        dropsZeroWeight: Bool? = nil, defaultRank: OutputRank? = nil, cost: String, experimental: Bool = false,
        baseUse: BaseUse = .required
    ) {
        self.id = id
        self.title = title
        self.summary = summary
        self.exactness = exactness
        self.role = role
        self.compatibilities = compatibilities
        self.source = source
        self.parameters = parameters
        self.minimumAdapters = minimumAdapters
        self.maximumAdapters = maximumAdapters
        self.random = random
        self.sequential = sequential
        self.dropsZeroWeight =
            dropsZeroWeight ?? (!sequential && (exactness == .spectral || exactness == .coordinates))
        self.defaultRank = defaultRank ?? exactness.defaultRank
        self.baseUse = baseUse
        self.cost = cost
        self.experimental = experimental
    }

    public func parameter(named name: String) -> ParameterDeclaration? { parameters.first { $0.name == name } }
}

/// All registered methods and post-steps, looked up by (compat, name).
///
/// `MethodRegistry.standard` (in `Methods/`) lists what the program ships.
public struct MethodRegistry: Sendable {
    /// Methods and post-steps in order of registration.
    public let all: [MethodDescription]

    public init(_ descriptions: [MethodDescription]) { all = descriptions }

    /// The merge method of that name, nil when there is none under this `compat`.
    public func method(_ name: String, compatibility: Compatibility) -> MethodDescription? {
        all.first { $0.id == name && $0.role == .merge && $0.compatibilities.contains(compatibility) }
    }

    /// The post-step of that name.
    public func postStep(_ name: String) -> MethodDescription? {
        all.first { $0.id == name && $0.role != .merge }
    }

    /// Names of the merge methods under one `compat`, sorted.
    public func methodNames(compatibility: Compatibility) -> [String] {
        all.filter { $0.role == .merge && $0.compatibilities.contains(compatibility) }.map(\.id).sorted()
    }

    /// Names of the post-steps, sorted.
    public var postStepNames: [String] { all.filter { $0.role != .merge }.map(\.id).sorted() }
}
