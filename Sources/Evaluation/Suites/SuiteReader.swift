import Diagnostics
import Foundation
import Networks
import Settings
import Tensors

/// Reads suites.
///
/// ```swift
/// let suite = try SuiteReader.read(path: "recipes/suites/mnist-vit.yaml", overrides: [SettingOverride("data.split=val")])
/// ```
public enum SuiteReader {
    static let keys = ["name", "backbone", "data", "input", "feature", "normalize", "head", "tasks"]

    /// - Parameter overrides: `--set` options, applied in order before anything is checked.
    /// - Throws: `io.*`, and as ``read(text:folder:overrides:)`` with `path` filled in.
    public static func read(path: String, overrides: [SettingOverride] = []) throws -> Suite {
        let file = try MappedFile(path: path)
        let limits = YAMLLimits()
        guard file.bytes.count <= limits.bytes, let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(
                .recipeSyntax, "a suite is a few lines of YAML; this file is too large or not UTF-8", path: path)
        }
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            var suite = try read(text: text, folder: folder, overrides: overrides)
            suite.path = path
            return suite
        } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }

    /// - Parameter folder: where relative paths start.
    /// - Throws: `recipe.syntax`, `recipe.unknown_key` with the nearest key, `recipe.bad_parameter`, each with line and
    ///   column or the option.
    public static func read(text: String, folder: String, overrides: [SettingOverride] = []) throws -> Suite {
        let documents = try YAMLReader.documents(in: text).filter { !$0.isNull }
        guard documents.count == 1, let document = documents.first else {
            throw Failure(
                .recipeSyntax, documents.isEmpty ? "the suite is empty" : "a suite is one document",
                place: SourcePlace.file(line: 1, column: 1).description,
                hint: "see recipes/suites/ for suites to start from")
        }
        let root = try overrides.reduce(document) { try $1.applied(to: $0) }
        return try read(root, folder: folder)
    }

    /// - Throws: as above.
    public static func read(_ root: YAMLNode, folder: String) throws -> Suite {
        guard root.members != nil else {
            throw Failure(
                .recipeBadParameter, "a suite must be a mapping, found \(root.whatItIs)",
                place: root.place.description)
        }
        return try SuiteFields(reader: FieldReader(root, what: ""), folder: folder).suite()
    }
}

/// Takes the mapping of a suite apart.
private struct SuiteFields {
    let reader: FieldReader
    let folder: String

    func suite() throws -> Suite {
        try reader.refuseUnknown(
            known: SuiteReader.keys,
            hints: ["normalise": "did you mean 'normalize'?", "model": "did you mean 'backbone'?"])
        return Suite(
            name: try required(try reader.text("name"), "name").value,
            backbone: try required(try reader.text("backbone"), "backbone"), data: try data(), input: try input(),
            feature: try reader.choice("feature", of: Pooling.self)?.value ?? .mean,
            normalisation: try reader.choice("normalize", of: Suite.Normalisation.self)?.value ?? .none,
            head: try head(), tasks: try tasks(), tasksPlace: reader["tasks"]?.place ?? reader.place, folder: folder,
            saysFeature: reader["feature"] != nil, saysInput: reader["input"] != nil)
    }

    private func required<Value>(_ value: Value?, _ key: String) throws -> Value {
        guard let value else {
            throw Failure(
                .recipeBadParameter, "the suite does not say '\(key)'", place: reader.place.description,
                hint: "a suite needs name, backbone, data and head")
        }
        return value
    }

    private func data() throws -> Suite.Data {
        let fields = try required(try reader.mapping("data"), "data")
        try fields.refuseUnknown(known: ["path", "split", "per_class"])
        return Suite.Data(
            reference: try required(try fields.text("path"), "data.path"),
            split: try fields.choice("split", of: Suite.Split.self)?.value ?? .test, perClass: try perClass(fields))
    }

    private func perClass(_ fields: FieldReader) throws -> Suite.PerClass? {
        guard let part = try fields.mapping("per_class") else { return nil }
        try part.refuseUnknown(known: ["skip", "take"])
        return Suite.PerClass(
            skip: try part.integer("skip", in: 0...Int.max)?.value ?? 0,
            take: try part.integer("take", in: 1...Int.max)?.value)
    }

    private func input() throws -> Suite.Input {
        var input = Suite.Input()
        guard let fields = try reader.mapping("input") else { return input }
        try fields.refuseUnknown(known: ["max_tokens", "mean", "std", "scale", "resize"])
        input.maxTokens = try fields.integer("max_tokens", in: 1...1 << 24)?.value
        input.mean = try fields.floats("mean") ?? input.mean
        input.std = try fields.floats("std", positive: true) ?? input.std
        input.scale = try fields.float("scale", positive: true)
        input.resize = try fields.bool("resize")?.value ?? false
        return input
    }

    // MARK: Head

    private static let fittedKeys = ["per_class", "features"]
    private static let kindKeys: [(kind: String, others: [String])] = [
        ("path", ["scale"]), ("linear", []), ("ncm", fittedKeys + ["scale"]),
        ("ridge", fittedKeys + ["lambda", "hidden", "seed"]), ("lda", fittedKeys + ["shrinkage"]), ("from", []),
        ("zero_shot", ["scale"]),
    ]

    private func head() throws -> Suite.Head {
        let fields = try required(try reader.mapping("head"), "head")
        let kinds = Self.kindKeys.filter { fields[$0.kind] != nil }
        try fields.refuseUnknown(known: Self.kindKeys.flatMap { [$0.kind] + $0.others })
        guard kinds.count == 1, let kind = kinds.first else {
            throw Failure(
                .recipeBadParameter,
                "'head' says \(kinds.isEmpty ? "none" : "several") of "
                    + Self.kindKeys.map(\.kind).joined(separator: ", "), place: fields.place.description,
                hint: "for example head: { path: head.safetensors, scale: 20 } or head: { ncm: train }")
        }
        try fields.refuseUnknown(known: [kind.kind] + kind.others)
        switch kind.kind {
        case "path":
            let path = try required(try fields.text("path"), "head.path").value
            return .file(path: resolved(path), scale: try fields.float("scale", positive: true) ?? 1)
        case "linear":
            return .file(path: resolved(try required(try fields.text("linear"), "head.linear").value), scale: 1)
        case "from":
            switch fields["from"]?.scalar?.text {
            case "adapter": return .adapter
            case "backbone": return .backbone
            default:
                throw Failure(
                    .recipeBadParameter, "'head.from' must be 'adapter' or 'backbone'",
                    place: (fields["from"]?.place ?? fields.place).description)
            }
        case "zero_shot":
            guard fields["zero_shot"]?.scalar?.text == "class_names" else {
                throw Failure(
                    .recipeBadParameter, "'head.zero_shot' must be 'class_names'",
                    place: (fields["zero_shot"]?.place ?? fields.place).description)
            }
            return .classNames(scale: try fields.float("scale", positive: true) ?? 1)
        default: return .fitted(try fitted(fields, kind.kind))
        }
    }

    private func fitted(_ fields: FieldReader, _ kind: String) throws -> Suite.FittedHead {
        let split = try required(try fields.choice(kind, of: Suite.Split.self), "head.\(kind)")
        guard split.value == .train else {
            throw Failure(
                .recipeBadParameter, "'head.\(kind)' must be train: a head is fitted on training samples only",
                place: split.place.description)
        }
        var head = Suite.FittedHead(kind: Suite.FittedHead.Kind(rawValue: kind) ?? .ncm)
        head.perClass = try perClass(fields)
        head.features = try fields.choice("features", of: Suite.FittedHead.Features.self)?.value ?? .subject
        head.scale = try fields.float("scale", positive: true) ?? 1
        head.lambda = try fields.float("lambda", positive: true).map(Double.init)
        head.hidden = try fields.integer("hidden", in: 0...1 << 20)?.value
        if let shrinkage = try fields.float("shrinkage") {
            guard (0...1).contains(shrinkage) else {
                throw Failure(
                    .recipeBadParameter, "'head.shrinkage' must be a number in 0...1, not \(shrinkage)",
                    place: (fields["shrinkage"]?.place ?? fields.place).description)
            }
            head.shrinkage = Double(shrinkage)
        }
        head.seed = try fields.unsigned("seed") ?? 1
        return head
    }

    private func resolved(_ path: String) -> String {
        path.hasPrefix("/") || folder.isEmpty ? path : folder + "/" + path
    }

    // MARK: Tasks

    private func tasks() throws -> Suite.Tasks {
        guard let node = reader["tasks"], !node.isNull else { return .ofData }
        guard let items = node.sequence else {
            guard let name = try reader.text("tasks") else { return .ofData }
            return .column(name.value)
        }
        return .groups(try items.enumerated().map { try group($1, index: $0) })
    }

    /// `[0, 1]` or `{ name: even, classes: [0, 2] }`.
    private func group(_ node: YAMLNode, index: Int) throws -> Suite.Group {
        let what = "tasks[\(index)]"
        if node.sequence != nil {
            let wrapped = YAMLNode.mapping([("classes", node)], at: node.place)
            return Suite.Group(name: nil, classes: try FieldReader(wrapped, what: what).texts("classes"))
        }
        let fields = try FieldReader(node, what: what, emptyIsMapping: false)
        try fields.refuseUnknown(known: ["name", "classes"])
        return Suite.Group(name: try fields.text("name")?.value, classes: try fields.texts("classes"))
    }
}

extension FieldReader {
    /// A finite number, above 0 when `positive`.
    func float(_ key: String, positive: Bool = false) throws -> Float? {
        guard let node = self[key] else { return nil }
        return try finite(node, key, positive)
    }

    /// One number or a list of them.
    func floats(_ key: String, positive: Bool = false) throws -> [Float]? {
        guard let node = self[key] else { return nil }
        let numbers = try (node.sequence ?? [node]).map { try finite($0, key, positive) }
        guard !numbers.isEmpty else { throw wrongType(key, expected: "a number or a list of numbers", found: node) }
        return numbers
    }

    private func finite(_ node: YAMLNode, _ key: String, _ positive: Bool) throws -> Float {
        guard let number = FieldReader.number(node), Float(number).isFinite, !positive || Float(number) > 0 else {
            throw wrongType(key, expected: positive ? "a number above 0" : "a number", found: node)
        }
        return Float(number)
    }
}
