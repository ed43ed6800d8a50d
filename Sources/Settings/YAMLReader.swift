import Diagnostics
import Foundation
import Yams

/// Reads YAML into trees with places. The only file that touches the YAML library.
public enum YAMLReader {
    /// All documents of a text. An empty document is a null scalar; a text without documents gives none.
    ///
    /// - Throws: `recipe.syntax` with line and column: malformed YAML, duplicate keys, tags, keys that are no text, and
    ///   whatever goes beyond `limits`.
    public static func documents(in text: String, limits: YAMLLimits = YAMLLimits()) throws -> [YAMLNode] {
        try YAMLPrescan(text, limits: limits).check()
        return try onDeepStack { try compose(text, limits: limits) }
    }

    /// One value of a command line option, e.g. the right side of `--set`.
    public static func value(_ text: String, option: String) throws -> YAMLNode {
        do {
            let found = try documents(in: text)
            guard found.count <= 1 else { throw Failure(.recipeSyntax, "several documents in one value") }
            let node = found.first ?? YAMLNode(.scalar(YAMLScalar("", quoted: false)), at: .option(option))
            return node.moved(to: .option(option))
        } catch let failure as Failure {
            var copy = failure
            copy.place = option
            copy.hint = copy.hint ?? "the value is read as YAML; put text with special characters in quotes"
            throw copy
        }
    }

    private static func compose(_ text: String, limits: YAMLLimits) throws -> [YAMLNode] {
        do {
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            var converter = YAMLConverter(limits: limits)
            var documents: [YAMLNode] = []
            while let root = try parser.nextRoot() {
                guard documents.count < limits.documents else {
                    throw Failure(.recipeSyntax, "more than \(limits.documents) documents in one file")
                }
                documents.append(try converter.convert(root, depth: 0))
            }
            return documents
        } catch let error as YamlError {
            throw YAMLFailure.failure(for: error, text: text)
        }
    }

    /// Runs `body` on a thread whose stack holds the library's recursion: its parser stops at 1,000 levels, which took
    /// less than 2 MiB in a debug build; threads of a pool have less.
    private static func onDeepStack<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let outcome = Outcome<Value>()
        let thread = Thread { outcome.finish(Result { try body() }) }
        thread.stackSize = 8 << 20
        thread.start()
        return try outcome.wait().get()
    }

    private final class Outcome<Value: Sendable>: @unchecked Sendable {
        private let done = DispatchSemaphore(value: 0)
        private var result: Result<Value, any Error>?

        func finish(_ value: Result<Value, any Error>) {
            result = value
            done.signal()
        }

        func wait() -> Result<Value, any Error> {
            done.wait()
            return result ?? .failure(Failure(.internalDefect, "the YAML reader ended without a result"))
        }
    }
}

/// Turns the library's nodes into ours, counting as it goes.
private struct YAMLConverter {
    let limits: YAMLLimits
    private var nodes = 0

    init(limits: YAMLLimits) { self.limits = limits }

    mutating func convert(_ node: Node, depth: Int) throws -> YAMLNode {
        let place = YAMLConverter.place(node.mark)
        nodes += 1
        guard nodes <= limits.nodes else {
            throw Failure(
                .recipeSyntax, "more than \(limits.nodes) values once aliases are expanded", place: place.description)
        }
        guard depth <= limits.depth else {
            throw Failure(.recipeSyntax, "nested deeper than \(limits.depth) levels", place: place.description)
        }
        switch node {
        case .scalar(let scalar):
            try refuseTag(scalar.tag, allowed: [.implicit, .str], place)
            let quoted = scalar.style != .plain || scalar.tag.description == Tag.Name.str.rawValue
            return YAMLNode(.scalar(YAMLScalar(scalar.string, quoted: quoted)), at: place)
        case .sequence(let sequence):
            try refuseTag(sequence.tag, allowed: [.implicit], place)
            var items: [YAMLNode] = []
            for item in sequence { items.append(try convert(item, depth: depth + 1)) }
            return YAMLNode(.sequence(items), at: place)
        case .mapping(let mapping):
            try refuseTag(mapping.tag, allowed: [.implicit], place)
            return YAMLNode(.mapping(try members(of: mapping, depth: depth)), at: place)
        case .alias:
            throw Failure(.recipeSyntax, "an alias without its anchor", place: place.description)
        }
    }

    private mutating func members(of mapping: Node.Mapping, depth: Int) throws -> [YAMLNode.Member] {
        var members: [YAMLNode.Member] = []
        var seen: [String: SourcePlace] = [:]
        for (key, value) in mapping {
            let place = YAMLConverter.place(key.mark)
            guard case .scalar(let scalar) = key else {
                throw Failure(.recipeSyntax, "a key must be text", place: place.description)
            }
            guard scalar.string != "<<" else {
                throw Failure(
                    .recipeSyntax, "merge keys ('<<') are not used in recipes", place: place.description,
                    hint: "write the settings out, or put them under 'parameters' of the stage")
            }
            if let first = seen.updateValue(place, forKey: scalar.string) {
                throw YAMLFailure.duplicate(scalar.string, first: first, second: place)
            }
            members.append(
                YAMLNode.Member(key: scalar.string, keyPlace: place, value: try convert(value, depth: depth + 1)))
        }
        return members
    }

    private func refuseTag(_ tag: Tag, allowed: [Tag.Name], _ place: SourcePlace) throws {
        guard !allowed.contains(where: { tag.description == $0.rawValue }) else { return }
        throw Failure(
            .recipeSyntax, "the tag '\(tag.description)' is not used in recipes", place: place.description,
            hint: "leave it out; put text in quotes")
    }

    private static func place(_ mark: Mark?) -> SourcePlace { .file(line: mark?.line ?? 1, column: mark?.column ?? 1) }
}
