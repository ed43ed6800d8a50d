import Adapters

/// What an evaluation looks at.
public struct Subject: Sendable {
    public enum Kind: Sendable {
        /// The network without adapters.
        case backbone
        /// One adapter for all samples.
        case adapter(Adapter)
        /// Each sample through the adapter of its class's task, in the order of the suite's tasks; nil and classes
        /// outside every task: the bare backbone.
        case perTask([Member?])
    }

    /// An adapter of one task.
    public struct Member: Sendable {
        /// Equal keys mean equal adapters, so that what was computed for one serves the other.
        public var key: String
        public var adapter: Adapter

        public init(key: String, adapter: Adapter) {
            self.key = key
            self.adapter = adapter
        }
    }

    /// The `subject` of the results: `backbone`, `oracle`, or the reference as it was given.
    public var label: String
    /// Equal keys mean equal adapters.
    public var key: String
    public var kind: Kind

    public init(label: String, key: String? = nil, kind: Kind) {
        self.label = label
        self.key = key ?? label
        self.kind = kind
    }

    public static let backbone = Subject(label: "backbone", key: "", kind: .backbone)
}
