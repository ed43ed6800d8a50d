import Diagnostics
import WeightFiles

/// A backbone, a data set or a router that a bank knows by name, so that suites and commands need no paths.
public struct BankResource: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        case backbone, data, router

        /// What several of them are called.
        public var plural: String {
            switch self {
            case .backbone: "backbones"
            case .data: "data"
            case .router: "routers"
            }
        }
    }

    /// An adapter that it needs: an expert of a router.
    public struct Parent: Sendable, Hashable {
        /// `name@version` in this bank.
        public var reference: String
        /// SHA-256 of the bank's object.
        public var object: String

        public init(reference: String, object: String) {
            self.reference = reference
            self.object = object
        }
    }

    public var kind: Kind
    public var name: String
    /// The folder that holds it.
    public var folder: String
    /// True when the folder stands outside the bank.
    public var isLinked: Bool
    /// SHA-256 over names, sizes and digests of the files: equal for equal contents.
    public var digest: String
    public var files: Int
    public var bytes: Int
    /// RFC 3339, UTC.
    public var importedAt: String
    public var importedBy: String
    /// Adapters of this bank that it needs, in order.
    public var parents: [Parent] = []

    /// The catalogue's text for it; the folder of a copy follows from the digest.
    var json: JSONValue {
        .object([
            .init("at", .string(importedAt)), .init("by", .string(importedBy)), .init("bytes", .integer(bytes)),
            .init("digest", .string(digest)), .init("files", .integer(files)),
            .init("link", isLinked ? .string(folder) : .null),
            .init(
                "parents",
                .array(
                    parents.map {
                        .object([.init("object", .string($0.object)), .init("reference", .string($0.reference))])
                    })),
        ])
    }

    init(
        kind: Kind, name: String, folder: String, isLinked: Bool, digest: String, files: Int, bytes: Int,
        importedAt: String, importedBy: String
    ) {
        self.kind = kind
        self.name = name
        self.folder = folder
        self.isLinked = isLinked
        self.digest = digest
        self.files = files
        self.bytes = bytes
        self.importedAt = importedAt
        self.importedBy = importedBy
    }

    /// - Throws: `bank.corrupt` for a text that this program did not write.
    init(kind: Kind, name: String, text: String, layout: BankLayout) throws {
        guard let json = try? StrictJSON.parse(text, .configuration), let digest = json["digest"]?.string,
            digest.count == 64, let files = json["files"]?.integer, let bytes = json["bytes"]?.integer
        else {
            throw Failure(.bankCorrupt, "the entry of \(kind.rawValue) '\(name)' is damaged", path: layout.catalogue)
        }
        let link = json["link"]?.string
        self.init(
            kind: kind, name: name, folder: link ?? layout.resourceFolder(kind, digest), isLinked: link != nil,
            digest: digest, files: files, bytes: bytes, importedAt: json["at"]?.string ?? "",
            importedBy: json["by"]?.string ?? "")
        parents = (json["parents"]?.array ?? []).compactMap { item in
            guard let object = item["object"]?.string, let reference = item["reference"]?.string else { return nil }
            return Parent(reference: reference, object: object)
        }
    }
}

extension BankLayout {
    func resourceFolders(_ kind: BankResource.Kind) -> String {
        folder + "/" + kind.plural
    }

    /// A copy stands under the first digits of its digest: contents never change under a name that is in use.
    func resourceFolder(_ kind: BankResource.Kind, _ digest: String) -> String {
        resourceFolders(kind) + "/" + digest.prefix(16)
    }
}
