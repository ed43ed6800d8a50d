import Evaluation
import WeightFiles

/// What a trace holds (LoRA-Mixer reference, section 9.1).
public struct TraceOptions: Sendable, Hashable {
    public enum Aggregation: String, Sendable, CaseIterable {
        /// A record per token and router, and one per sample.
        case none
        /// One record per sample.
        case sample
        /// Only the summary, by task.
        case task
    }

    /// The first so many tokens of each sample; nil: all.
    public var tokens: Int?
    /// Routers to record, by id; empty: all.
    public var routers: Set<String> = []
    public var aggregation = Aggregation.none
    /// Adds the probabilities of all experts to token records.
    public var probabilities = false

    public init() {}

    var json: JSONValue {
        .object([
            .init("tokens", tokens.map(JSONValue.integer) ?? .string("all")),
            .init("routers", .array(routers.sorted().map(JSONValue.string))),
            .init("aggregate", .string(aggregation.rawValue)), .init("probabilities", .bool(probabilities)),
        ])
    }

    init(json: JSONValue?) {
        tokens = json?["tokens"]?.integer
        routers = Set((json?["routers"]?.array ?? []).compactMap(\.string))
        aggregation = json?["aggregate"]?.string.flatMap(Aggregation.init) ?? .none
        probabilities = json?["probabilities"]?.bool ?? false
    }
}

/// What a trace says about itself: the router, its experts and the samples that it saw.
public struct TraceHeader: Sendable, Hashable {
    public static let schema = "lorabank.trace/1"

    public struct Expert: Sendable, Hashable {
        public var id: String
        public var sha256: String
        /// `approved`, `pending`; `none` for an adapter that comes from no bank.
        public var approval: String

        public init(id: String, sha256: String, approval: String) {
            self.id = id
            self.sha256 = sha256
            self.approval = approval
        }
    }

    /// SHA-256 of the router, and of the backbone's weights.
    public var router: String
    public var base: String
    public var experts: [Expert]
    public var mode: String
    public var k: Int
    public var temperature: Double
    public var tool: String
    public var seed: UInt64
    public var dataset: String
    public var datasetSHA256: String
    /// Places of the samples in the suite's split.
    public var samples: [Int]
    public var options: TraceOptions
    /// Unapproved experts were allowed by the user.
    public var allowedUnapproved: Bool

    public init(
        router: String, base: String, experts: [Expert], routing: RoutingOptions, outputs: Int, temperature: Double,
        tool: String, seed: UInt64, dataset: String, datasetSHA256: String, samples: [Int], options: TraceOptions,
        allowedUnapproved: Bool
    ) {
        self.router = router
        self.base = base
        self.experts = experts
        mode = routing.mode.rawValue
        k = routing.mode.isSparse ? routing.active(of: outputs) : outputs
        self.temperature = temperature
        self.tool = tool
        self.seed = seed
        self.dataset = dataset
        self.datasetSHA256 = datasetSHA256
        self.samples = samples
        self.options = options
        self.allowedUnapproved = allowedUnapproved
    }

    var json: JSONValue {
        .object([
            .init("type", .string("header")), .init("schema", .string(Self.schema)), .init("router", .string(router)),
            .init("base", .string(base)),
            .init(
                "experts",
                .array(
                    experts.map {
                        .object([
                            .init("id", .string($0.id)), .init("sha256", .string($0.sha256)),
                            .init("approval", .string($0.approval)),
                        ])
                    })),
            .init("mode", .string(mode)), .init("k", .integer(k)), .init("tau", .double(temperature)),
            .init("tool", .string(tool)), .init("seed", .number(String(seed))), .init("dataset", .string(dataset)),
            .init("dataset_sha256", .string(datasetSHA256)),
            .init("samples", .array(samples.map(JSONValue.integer))), .init("options", options.json),
            .init("allow_unapproved", .bool(allowedUnapproved)),
        ])
    }
}
