import Diagnostics

/// Where an adapter stands between import and withdrawal. A state belongs to one version and one object digest.
public enum ApprovalState: String, Sendable, Hashable, Codable, CaseIterable {
    case pending, approved, rejected, revoked
}

/// What a person (or the policy, for adapters trained here) decides about an adapter.
public enum ApprovalDecision: String, Sendable, Hashable, Codable, CaseIterable {
    /// `pending → approved`
    case approve
    /// `pending → rejected`
    case reject
    /// `approved → revoked`
    case revoke
    /// `rejected → pending`
    case reopen

    /// The state that an adapter must be in.
    public var from: ApprovalState {
        switch self {
        case .approve, .reject: .pending
        case .revoke: .approved
        case .reopen: .rejected
        }
    }

    /// The state that follows.
    public var to: ApprovalState {
        switch self {
        case .approve: .approved
        case .reject: .rejected
        case .revoke: .revoked
        case .reopen: .pending
        }
    }

    /// The state after this decision.
    ///
    /// - Parameter subject: names the adapter in the error.
    /// - Throws: `state.not_allowed` when the states of `state` and `from` differ.
    public func applied(to state: ApprovalState, subject: String) throws -> ApprovalState {
        guard state == from else {
            throw Failure(
                .stateNotAllowed, "cannot \(rawValue) '\(subject)': it is \(state.rawValue), not \(from.rawValue)",
                hint: ApprovalDecision.hint(from: state, wanted: self),
                details: ["state": state.rawValue, "needed": from.rawValue])
        }
        return to
    }

    private static func hint(from state: ApprovalState, wanted: ApprovalDecision) -> String? {
        switch (state, wanted) {
        case (.pending, .revoke): "use `lorabank reject` for an adapter that was never approved"
        case (.approved, .reject): "use `lorabank revoke` for an adapter that is approved"
        case (.rejected, .approve), (.rejected, .revoke): "re-open it first with `lorabank reject --reopen`"
        case (.revoked, _): "a revocation is final; import the adapter again as a new version"
        default: nil
        }
    }
}
