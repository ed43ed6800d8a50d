import Adapters
import Diagnostics
import Digests
import WeightFiles

/// `manifest.json`, the first member of every object: what the other members are and what the adapter is.
///
/// Holds nothing that depends on when, where or under which name the adapter was imported: the same files give the same
/// object.
struct ObjectManifest: Hashable {
    static let format = "lorabank.adapter/1"
    static let memberName = "manifest.json"

    var layout: String
    var kind: String
    var base: String
    var revision: String
    var deltaID: String
    var modules: Int
    var parameters: Int
    var rankMin: Int
    var rankMax: Int
    var dtype: String
    /// What was said at import about files that do not say it themselves.
    var reading: ReadingFacts
    /// In archive order.
    var files: [ObjectFile]

    /// Facts that the reader needs beside the files.
    struct ReadingFacts: Hashable {
        /// The weights came as one file without a configuration.
        var isBareFile = false
        var base: String?
        var alpha: Double?
        var scale: Double?
        var trustTensors = false

        var options: AdapterReader.Options {
            var options = AdapterReader.Options()
            options.base = base
            options.alpha = alpha
            options.scale = scale
            options.trustTensors = trustTensors
            return options
        }
    }
}

extension ObjectManifest {
    /// The document as it stands in the archive: sorted keys, indent 2, one newline at the end.
    var text: String {
        let files = files.map { file -> JSONValue in
            .object([
                .init("member", .string(file.member)), .init("name", .string(file.name)),
                .init("size", .integer(file.size)), .init("sha256", .string(file.digest)),
                .init("kind", .string(file.kind)),
            ])
        }
        let document = JSONValue.object([
            .init("format", .string(ObjectManifest.format)), .init("layout", .string(layout)),
            .init("kind", .string(kind)),
            .init("base", .object([.init("name", .string(base)), .init("revision", .string(revision))])),
            .init("delta_id", .string(deltaID)),
            .init(
                "facts",
                .object([
                    .init("modules", .integer(modules)), .init("parameters", .integer(parameters)),
                    .init("rank_min", .integer(rankMin)), .init("rank_max", .integer(rankMax)),
                    .init("dtype", .string(dtype)),
                ])),
            .init("reading", reading.json), .init("files", .array(files)),
        ])
        return document.text(.indented(2), sortKeys: true, asciiOnly: false) + "\n"
    }

    /// Reads a manifest back.
    ///
    /// - Parameter path: the object's file, for errors.
    /// - Throws: `bank.corrupt`.
    init(parsing bytes: UnsafeRawBufferPointer, path: String) throws {
        let document = try StrictJSON.parse(bytes, ObjectManifest.rules, path: path)
        func missing(_ key: String) -> Failure {
            Failure(.bankCorrupt, "the manifest lacks '\(key)'", path: path, place: ObjectManifest.memberName)
        }
        func text(_ key: String, in value: JSONValue? = document) throws -> String {
            guard let text = value?[key]?.string else { throw missing(key) }
            return text
        }
        func integer(_ key: String, in value: JSONValue?) throws -> Int {
            guard let number = value?[key]?.integer, number >= 0 else { throw missing(key) }
            return number
        }
        guard try text("format") == ObjectManifest.format else {
            throw Failure(
                .bankCorrupt, "the manifest has an unknown format", path: path, place: ObjectManifest.memberName)
        }
        layout = try text("layout")
        kind = try text("kind")
        base = try text("name", in: document["base"])
        revision = try text("revision", in: document["base"])
        deltaID = try text("delta_id")
        modules = try integer("modules", in: document["facts"])
        parameters = try integer("parameters", in: document["facts"])
        rankMin = try integer("rank_min", in: document["facts"])
        rankMax = try integer("rank_max", in: document["facts"])
        dtype = try text("dtype", in: document["facts"])
        reading = ReadingFacts(document["reading"])
        guard let list = document["files"]?.array else { throw missing("files") }
        files = try list.map { file in
            ObjectFile(
                member: try text("member", in: file), name: try text("name", in: file),
                size: try integer("size", in: file), digest: try text("sha256", in: file),
                kind: try text("kind", in: file))
        }
    }

    private static let rules = StrictJSON.Rules(
        maximumDepth: 8, maximumBytes: 64 << 20, tooLarge: .bankCorrupt, notUTF8: .bankCorrupt, notJSON: .bankCorrupt,
        tooDeep: .bankCorrupt, duplicateKey: .bankCorrupt)
}

extension ObjectManifest.ReadingFacts {
    init(_ value: JSONValue?) {
        isBareFile = value?["bare_file"]?.bool ?? false
        base = value?["base"]?.string
        alpha = value?["alpha"]?.double
        scale = value?["scale"]?.double
        trustTensors = value?["trust_tensors"]?.bool ?? false
    }

    /// Only what was given.
    var json: JSONValue {
        var members: [JSONValue.Member] = []
        if isBareFile { members.append(.init("bare_file", .bool(true))) }
        if let base { members.append(.init("base", .string(base))) }
        if let alpha { members.append(.init("alpha", .double(alpha))) }
        if let scale { members.append(.init("scale", .double(scale))) }
        if trustTensors { members.append(.init("trust_tensors", .bool(true))) }
        return .object(members)
    }
}

/// Names of archive members.
enum MemberName {
    /// `name` itself where it is plain ASCII and short, else `file-0003.safetensors` with the file's number.
    static func safe(for name: String, number: Int) -> String {
        let plain = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == 0x2D || byte == 0x2E || byte == 0x5F
        }
        if plain, name.utf8.count <= 90, !name.hasPrefix("."), !name.hasPrefix("-"), !name.hasPrefix("file-"),
            name != ObjectManifest.memberName
        {
            return name
        }
        let digits = String(number)
        let ending = name.lowercased().hasSuffix(".safetensors") ? ".safetensors" : ""
        return "file-" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + ending
    }
}
