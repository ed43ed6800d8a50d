import Governance

/// What `lorabank.toml` says.
public struct BankSettings: Sendable, Hashable {
    /// The newest bank format that this program understands.
    public static let currentVersion = 1

    public var version: Int
    /// UUID, lower case.
    public var id: String
    public var policy: Policy
    public var limits: BankLimits

    public init(version: Int = currentVersion, id: String, policy: Policy = Policy(), limits: BankLimits = BankLimits()) {
        self.version = version
        self.id = id
        self.policy = policy
        self.limits = limits
    }
}

/// Section `[limits]` of `lorabank.toml`.
public struct BankLimits: Sendable, Hashable {
    /// Largest adapter, all files together, in bytes. Default 64 GiB.
    public var maxAdapterBytes: Int
    /// Most members of an archive. Default 10,000.
    public var maxArchiveEntries: Int

    public init(maxAdapterBytes: Int = 64 << 30, maxArchiveEntries: Int = 10_000) {
        self.maxAdapterBytes = maxAdapterBytes
        self.maxArchiveEntries = maxArchiveEntries
    }
}
