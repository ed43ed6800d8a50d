import Adapters
import Diagnostics
import Settings

/// Whether adapters belong to one base model (merge-methods 5).
public enum BaseAgreement {
    public enum Verdict: Hashable, Sendable {
        case same, different
        /// One of the two says nothing about its base.
        case unknown
    }

    /// Digests decide when both are known; else the normalised names and, when both are given, the revisions.
    public static func compare(_ a: BaseIdentity, _ b: BaseIdentity) -> Verdict {
        if let left = a.digest, let right = b.digest {
            return left.lowercased() == right.lowercased() ? .same : .different
        }
        let left = normalized(a.name)
        let right = normalized(b.name)
        guard !left.isEmpty, !right.isEmpty else { return .unknown }
        guard sameName(left, right) else { return .different }
        let revisions = [a.revision, b.revision].filter { !$0.isEmpty && $0 != "main" }
        return revisions.count == 2 && revisions[0] != revisions[1] ? .different : .same
    }

    /// `org/model@revision` as a recipe or a command line writes it.
    public static func identity(_ text: String) -> BaseIdentity {
        // A path may hold an @ in one of its folders; a revision holds no slash.
        guard let mark = text.lastIndex(of: "@"), !text[mark...].contains("/") else { return BaseIdentity(name: text) }
        return BaseIdentity(name: String(text[..<mark]), revision: String(text[text.index(after: mark)...]))
    }

    private static func normalized(_ name: String) -> String {
        var text = name.lowercased()
        for prefix in ["https://", "http://", "huggingface.co/", "hf.co/"] where text.hasPrefix(prefix) {
            text.removeFirst(prefix.count)
        }
        while text.hasSuffix("/") { text.removeLast() }
        return text
    }

    /// A local path says little about where its files came from: only its last part is compared.
    private static func sameName(_ a: String, _ b: String) -> Bool {
        guard isPath(a) || isPath(b) else { return a == b }
        return a.split(separator: "/").last == b.split(separator: "/").last
    }

    private static func isPath(_ name: String) -> Bool {
        name.hasPrefix("/") || name.hasPrefix(".") || name.hasPrefix("~") || name.count { $0 == "/" } > 1
    }

    /// - Parameter declared: `base_model` of the recipe.
    /// - Returns: notes on adapters that name no base.
    /// - Throws: `merge.base_mismatch` for the first adapter that disagrees with the declared base, or with the first
    ///   adapter.
    static func check(_ operands: [NamedAdapter], declared: Located<String>?, allowed: Bool) throws -> [PlanNote] {
        var notes: [PlanNote] = []
        let expected: (name: String, base: BaseIdentity)?
        if let declared {
            expected = ("the recipe's base_model", identity(declared.value))
        } else {
            expected = operands.first { !$0.adapter.base.name.isEmpty || $0.adapter.base.digest != nil }
                .map { ("'\($0.name)'", $0.adapter.base) }
        }
        guard let expected else { return notes }
        for operand in operands {
            switch compare(operand.adapter.base, expected.base) {
            case .same: continue
            case .unknown:
                notes.append(
                    PlanNote(
                        code: "merge.base_unknown", message: "'\(operand.name)' does not name its base model",
                        place: operand.reference))
            case .different:
                let message =
                    "'\(operand.name)' belongs to the base '\(text(operand.adapter.base))', \(expected.name) to "
                    + "'\(text(expected.base))'"
                guard allowed else {
                    throw Failure(
                        .mergeBaseMismatch, message, place: operand.reference,
                        hint:
                            "merge adapters of one base; if the two are the same model, set allow_base_mismatch: true",
                        details: ["expected": text(expected.base), "found": text(operand.adapter.base)])
                }
                notes.append(
                    PlanNote(code: "merge.base_mismatch", message: message + " (allowed)", place: operand.reference))
            }
        }
        return notes
    }

    private static func text(_ base: BaseIdentity) -> String {
        base.revision.isEmpty ? base.name : base.name + "@" + base.revision
    }
}
