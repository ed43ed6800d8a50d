import Diagnostics

/// Whether adapters that nobody has approved yet may be used.
public enum PolicyMode: String, Sendable, Hashable, CaseIterable {
    /// Pending adapters can be used; rejected and revoked ones cannot.
    case open
    /// Only approved adapters can be used.
    case strict
}

/// The rules of a bank (section `[policy]` of `lorabank.toml`).
public struct Policy: Sendable, Hashable {
    public var mode: PolicyMode
    /// User names that may decide; empty: everyone.
    public var approvers: [String]
    /// How many different people must approve. Range 1...16.
    public var required: Int
    /// Nobody approves what they imported themselves.
    public var twoPerson: Bool
    public var requireSignature: Bool
    /// Sources that are approved without a person: `trained-here`.
    public var autoApprove: [String]
    /// Highest level of a finding that an approval passes over; `nil`: any.
    public var maxLevel: FindingLevel?

    public static let trainedHere = "trained-here"

    public init(
        mode: PolicyMode = .open, approvers: [String] = [], required: Int = 1, twoPerson: Bool = false,
        requireSignature: Bool = false, autoApprove: [String] = [Policy.trainedHere], maxLevel: FindingLevel? = nil
    ) {
        self.mode = mode
        self.approvers = approvers
        self.required = required
        self.twoPerson = twoPerson
        self.requireSignature = requireSignature
        self.autoApprove = autoApprove
        self.maxLevel = maxLevel
    }

    /// Why an adapter in `state` may not be used as a parent, an export or an expert; nil when it may.
    ///
    /// - Parameter allowUnapproved: lets pending adapters pass under `strict`; never rejected and revoked ones.
    public func refusal(of subject: String, state: ApprovalState, allowUnapproved: Bool = false) -> Failure? {
        switch state {
        case .approved:
            return nil
        case .pending:
            guard mode == .strict, !allowUnapproved else { return nil }
            return Failure(
                .policyNotApproved, "'\(subject)' is not approved yet, and the policy of this bank is strict",
                hint: "lorabank approve \(subject) --reason …", details: ["state": state.rawValue])
        case .rejected:
            return Failure(
                .policyNotApproved, "'\(subject)' was rejected", hint: "lorabank show \(subject) names the reason",
                details: ["state": state.rawValue])
        case .revoked:
            return Failure(
                .policyRevoked, "the approval of '\(subject)' was revoked",
                hint: "lorabank show \(subject) names the reason", details: ["state": state.rawValue])
        }
    }

    /// Whether `actor` may take `decision`.
    ///
    /// - Parameters:
    ///   - importer: who brought the adapter into the bank.
    ///   - findings: what the inspection noticed.
    ///   - isSigned: whether a trusted signature of the adapter's object was verified.
    /// - Throws: `policy.not_approved`, `policy.not_signed` when the policy forbids it.
    public func authorise(
        _ decision: ApprovalDecision, by actor: String, importer: String?, findings: [Finding],
        isSigned: Bool = false, subject: String
    ) throws {
        if !approvers.isEmpty, !approvers.contains(actor) {
            throw Failure(
                .policyNotApproved, "'\(actor)' may not \(decision.rawValue) adapters of this bank",
                hint: "the approvers are \(approvers.joined(separator: ", "))")
        }
        guard decision == .approve else { return }
        if twoPerson, importer == actor {
            throw Failure(
                .policyNotApproved, "'\(actor)' imported '\(subject)' and cannot approve it (two_person = true)",
                hint: "ask another approver")
        }
        if requireSignature, !isSigned {
            throw Failure(
                .policyNotSigned, "'\(subject)' has no trusted signature (require_signature = true)",
                hint: "lorabank sign \(subject)")
        }
        if let maxLevel, let worst = findings.map(\.level).max(), worst > maxLevel {
            throw Failure(
                .policyNotApproved,
                "'\(subject)' has findings of level \(worst.rawValue), the policy allows \(maxLevel.rawValue)",
                hint: "lorabank inspect \(subject) lists them")
        }
    }

    /// The state of an adapter at its arrival.
    ///
    /// - Parameter source: `import`, `merge` or `trained-here`.
    public func initialState(source: String) -> ApprovalState {
        autoApprove.contains(source) ? .approved : .pending
    }
}
