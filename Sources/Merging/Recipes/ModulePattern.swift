import Adapters
import Diagnostics
import Settings

/// A pattern for module names: a glob, or `re:` with a regular expression.
///
/// A glob (`*` any run of characters, dots included; `?` one character; `[ab]`, `[a-z]`, `[!a]`) matches the whole
/// name. A regular expression matches when it is found anywhere in the name; `^` and `$` anchor it. Both take time
/// linear in the length of the name.
public struct ModulePattern: Sendable {
    private enum Matcher: Sendable {
        case glob([GlobElement])
        case regex(ModulePatterns<Bool>)
        case substring([Unicode.Scalar])
    }

    /// As written.
    public let text: String
    private let matcher: Matcher

    /// - Parameter plainIsSubstring: mergekit's rule: a pattern without `re:` matches when the name contains it.
    /// - Throws: `recipe.bad_parameter` for a pattern that cannot be read.
    public init(_ text: String, at place: SourcePlace? = nil, plainIsSubstring: Bool = false) throws {
        self.text = text
        guard !text.isEmpty else {
            throw Failure(.recipeBadParameter, "an empty module pattern", place: place?.description)
        }
        if text.hasPrefix("re:") {
            matcher = .regex(try ModulePattern.regex(String(text.dropFirst(3)), at: place))
        } else if plainIsSubstring {
            matcher = .substring(Array(text.unicodeScalars))
        } else {
            matcher = .glob(try GlobElement.parse(text, at: place))
        }
    }

    public func matches(_ module: String) -> Bool {
        switch matcher {
        case .glob(let elements): GlobElement.match(elements, Array(module.unicodeScalars))
        case .regex(let patterns): ((try? patterns.values(for: [module]))?.first ?? nil) != nil
        case .substring(let part): ModulePattern.contains(Array(module.unicodeScalars), part)
        }
    }

    private static func contains(_ text: [Unicode.Scalar], _ part: [Unicode.Scalar]) -> Bool {
        guard part.count <= text.count else { return false }
        return (0...text.count - part.count).contains { start in text[start...].starts(with: part) }
    }

    /// The engine that reads `rank_pattern` matches a whole name behind a dot; `.*` on both sides makes it a search.
    private static func regex(_ expression: String, at place: SourcePlace?) throws -> ModulePatterns<Bool> {
        do {
            _ = try ModulePatterns([(key: expression, value: true)]).values(for: ["layer"])
            let search = ModulePatterns([(key: ".*(?:\(expression)).*", value: true)])
            _ = try search.values(for: ["layer"])
            return search
        } catch let failure as Failure {
            throw Failure(
                .recipeBadParameter, "the regular expression '\(expression)' cannot be used: \(failure.message)",
                place: place?.description,
                hint: "literals, classes, groups, alternatives and quantifiers are known; lookaround and back "
                    + "references are not")
        }
    }
}

/// One element of a glob.
enum GlobElement: Hashable, Sendable {
    case one(Unicode.Scalar)
    case anyOne
    case anyRun
    case set([ClosedRange<Unicode.Scalar>], negated: Bool)

    static func parse(_ text: String, at place: SourcePlace?) throws -> [GlobElement] {
        var elements: [GlobElement] = []
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if elements.last != .anyRun { elements.append(.anyRun) }
            case "?": elements.append(.anyOne)
            case "[":
                guard let set = takeSet(&rest) else {
                    throw Failure(
                        .recipeBadParameter, "the pattern '\(text)' has a '[' without its ']'",
                        place: place?.description)
                }
                elements.append(set)
            default: elements.append(.one(scalar))
            }
        }
        return elements
    }

    /// A `]` right after the opening bracket stands for itself.
    private static func takeSet(_ rest: inout Substring.UnicodeScalarView) -> GlobElement? {
        var negated = false
        if rest.first == "!" || rest.first == "^" {
            negated = true
            rest.removeFirst()
        }
        var members: [ClosedRange<Unicode.Scalar>] = []
        var first = true
        while let lower = rest.popFirst() {
            if lower == "]", !first { return .set(members, negated: negated) }
            first = false
            let beyond = rest.dropFirst()
            if rest.first == "-", let upper = beyond.first, upper != "]", lower <= upper {
                members.append(lower...upper)
                rest = beyond.dropFirst()
            } else {
                members.append(lower...lower)
            }
        }
        return nil
    }

    private func accepts(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .one(let own): own == scalar
        case .anyOne, .anyRun: true
        case .set(let members, let negated): members.contains { $0.contains(scalar) } != negated
        }
    }

    /// Going back only to the last `*` is enough for globs: time is at most elements × characters.
    static func match(_ elements: [GlobElement], _ text: [Unicode.Scalar]) -> Bool {
        var element = 0
        var position = 0
        var lastRun: (element: Int, position: Int)?
        while position < text.count {
            if element < elements.count, elements[element] == .anyRun {
                lastRun = (element, position)
                element += 1
            } else if element < elements.count, elements[element].accepts(text[position]) {
                element += 1
                position += 1
            } else if let run = lastRun {
                lastRun = (run.element, run.position + 1)
                element = run.element + 1
                position = run.position + 1
            } else {
                return false
            }
        }
        return elements[element...].allSatisfy { $0 == .anyRun }
    }
}
