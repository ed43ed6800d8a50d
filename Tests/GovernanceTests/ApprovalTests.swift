import Diagnostics
import Governance
import Testing

@Suite struct ApprovalTests {
    @Test func `exactly four transitions exist`() {
        var allowed: Set<String> = []
        for decision in ApprovalDecision.allCases {
            for state in ApprovalState.allCases {
                if let next = try? decision.applied(to: state, subject: "a@1") {
                    allowed.insert("\(state.rawValue)→\(next.rawValue)")
                }
            }
        }
        #expect(allowed == ["pending→approved", "pending→rejected", "approved→revoked", "rejected→pending"])
    }

    @Test func `a refused decision names state and way out`() throws {
        let failure = try #require(throws: Failure.self) {
            try ApprovalDecision.approve.applied(to: .revoked, subject: "a@1")
        }
        #expect(failure.code == .stateNotAllowed)
        #expect(failure.message.contains("a@1"))
        #expect(failure.hint?.contains("final") == true)
    }

    @Test(
        arguments: [
            (PolicyMode.open, ApprovalState.pending, false, nil),
            (.open, .approved, false, nil),
            (.open, .rejected, false, ErrorCode.policyNotApproved),
            (.open, .revoked, true, .policyRevoked),
            (.strict, .pending, false, .policyNotApproved),
            (.strict, .pending, true, nil),
            (.strict, .approved, false, nil),
            (.strict, .rejected, true, .policyNotApproved),
            (.strict, .revoked, false, .policyRevoked),
        ] as [(PolicyMode, ApprovalState, Bool, ErrorCode?)])
    func `the policy decides who may be used`(
        _ mode: PolicyMode, _ state: ApprovalState, _ allowUnapproved: Bool, _ code: ErrorCode?
    ) {
        let policy = Policy(mode: mode)
        let refusal = policy.refusal(of: "a@1", state: state, allowUnapproved: allowUnapproved)
        #expect(refusal?.code == code)
        if let code { #expect(code.exitStatus == 8) }
    }

    @Test func `only approvers decide, and nobody approves their own import`() throws {
        let policy = Policy(approvers: ["ada", "grace"], twoPerson: true)
        func allowed(_ decision: ApprovalDecision, _ actor: String, importer: String) -> Bool {
            (try? policy.authorise(decision, by: actor, importer: importer, findings: [], subject: "a@1")) != nil
        }
        #expect(allowed(.approve, "ada", importer: "grace"))
        #expect(!allowed(.approve, "ada", importer: "ada"))
        #expect(allowed(.reject, "ada", importer: "ada"))
        #expect(!allowed(.revoke, "eve", importer: "ada"))
    }

    @Test func `findings above the policy's level hinder an approval`() throws {
        let policy = Policy(maxLevel: .info)
        let info = Finding(.configAssumed, .info)
        let warning = Finding(.weightsOutlier, .warning)
        try policy.authorise(.approve, by: "a", importer: nil, findings: [info], subject: "x")
        #expect(throws: Failure.self) {
            try policy.authorise(.approve, by: "a", importer: nil, findings: [info, warning], subject: "x")
        }
    }

    @Test func `a policy that asks for signatures approves nothing unsigned`() throws {
        let policy = Policy(requireSignature: true)
        let failure = try #require(throws: Failure.self) {
            try policy.authorise(.approve, by: "a", importer: nil, findings: [], subject: "x@1")
        }
        #expect(failure.code == .policyNotSigned)
        try policy.authorise(.approve, by: "a", importer: nil, findings: [], isSigned: true, subject: "x@1")
        try policy.authorise(.reject, by: "a", importer: nil, findings: [], subject: "x@1")
    }

    @Test func `what was trained here is approved at once, other things wait`() {
        #expect(Policy().initialState(source: "trained-here") == .approved)
        #expect(Policy().initialState(source: "merge") == .pending)
        #expect(Policy(autoApprove: []).initialState(source: "trained-here") == .pending)
    }
}
