import Diagnostics
import Governance

/// What `lorabank.toml` says.
///
/// ```toml
/// version = 1
/// id = "5f0c9a4e-…"
/// policy = "open"
///
/// [approval]
/// approvers = []
/// required = 1
/// two_person = false
/// require_signature = false
/// auto_approve = ["trained-here"]
///
/// [limits]
/// max_adapter_bytes = 68719476736
/// max_archive_entries = 10000
/// ```
public struct BankSettings: Sendable, Hashable {
    /// The newest bank format that this program understands.
    public static let currentVersion = 1

    public var version: Int
    /// UUID, lower case.
    public var id: String
    public var policy: Policy
    public var limits: BankLimits

    public init(version: Int = currentVersion, id: String, policy: Policy = Policy(), limits: BankLimits = BankLimits())
    {
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

extension BankSettings {
    /// Reads the text of `lorabank.toml`.
    ///
    /// `[policy]` with `mode = "…"` is understood as `policy = "…"`, with the keys of `[approval]` beside it.
    /// - Parameter path: the file named in errors.
    /// - Throws: `bank.version` for a newer bank, `usage.bad_argument` with the line for anything that is not
    ///   understood, unknown keys included.
    public init(parsing text: String, path: String) throws {
        var table = try SettingsTable(parsing: text, path: path)
        let version = try table.integer("version", in: 1...Int.max) ?? { throw table.missing("version") }()
        guard version <= BankSettings.currentVersion else {
            throw Failure(
                .bankVersion,
                "this bank has format \(version), this program understands up to "
                    + "\(BankSettings.currentVersion)", path: path, hint: "use a newer lorabank",
                details: ["version": String(version)])
        }
        let id = try table.text("id") ?? { throw table.missing("id") }()
        var policy = Policy()
        let modes = PolicyMode.allCases.map(\.rawValue)
        if let mode = try table.choice("policy", of: modes) ?? table.choice("policy.mode", of: modes) {
            policy.mode = PolicyMode(rawValue: mode) ?? .open
        }
        for section in ["approval", "policy"] {
            if let names = try table.texts(section + ".approvers") { policy.approvers = names }
            if let count = try table.integer(section + ".required", in: 1...16) { policy.required = count }
            if let flag = try table.flag(section + ".two_person") { policy.twoPerson = flag }
            if let flag = try table.flag(section + ".require_signature") { policy.requireSignature = flag }
            if let sources = try table.texts(section + ".auto_approve", of: [Policy.trainedHere]) {
                policy.autoApprove = sources
            }
            let levels = FindingLevel.allCases.map(\.rawValue)
            if let level = try table.choice(section + ".max_level", of: levels) {
                policy.maxLevel = FindingLevel(rawValue: level)
            }
        }
        var limits = BankLimits()
        if let bytes = try table.integer("limits.max_adapter_bytes", in: 1...Int.max) { limits.maxAdapterBytes = bytes }
        if let count = try table.integer("limits.max_archive_entries", in: 1...1_000_000) {
            limits.maxArchiveEntries = count
        }
        try table.refuseUnknownKeys()
        self.init(version: version, id: id, policy: policy, limits: limits)
    }

    /// The text of `lorabank.toml`.
    public var text: String {
        func list(_ names: [String]) -> String { "[" + names.map(SettingsTable.quoted).joined(separator: ", ") + "]" }
        var lines = [
            "version = \(version)",
            "id = \(SettingsTable.quoted(id))",
            "# open: pending adapters can be used; strict: only approved ones",
            "policy = \(SettingsTable.quoted(policy.mode.rawValue))",
            "",
            "[approval]",
            "# user names that may decide; empty: everyone",
            "approvers = \(list(policy.approvers))",
            "required = \(policy.required)",
            "two_person = \(policy.twoPerson)",
            "require_signature = \(policy.requireSignature)",
            "auto_approve = \(list(policy.autoApprove))",
        ]
        if let level = policy.maxLevel { lines.append("max_level = \(SettingsTable.quoted(level.rawValue))") }
        lines += [
            "",
            "[limits]",
            "max_adapter_bytes = \(limits.maxAdapterBytes)",
            "max_archive_entries = \(limits.maxArchiveEntries)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
