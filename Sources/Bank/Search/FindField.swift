import Diagnostics
import GRDB
import Governance

/// The fields that `find` knows beside keys of tags and names of metrics.
public enum FindField: String, Sendable, CaseIterable {
    // Text that is contained.
    case name, base, title, description, origin, note, module
    // Exact words.
    case state, format, kind, dtype, source, author, licence, tag, alias, finding, object, id, parent, child
    // Numbers.
    case rank, modules, parameters, bytes, version
    // Times: the beginning of an RFC 3339 text, compared as text.
    case created

    /// One line of help.
    public var help: String {
        switch self {
        case .name: "part of the name"
        case .base: "part of the base model's name"
        case .title: "part of the title"
        case .description: "part of the description"
        case .origin: "part of the path it was imported from"
        case .note: "part of a note"
        case .module: "part of a module's name"
        case .state: "pending, approved, rejected, revoked"
        case .format: "layout of its files, e.g. peft"
        case .kind: "lora or dora"
        case .dtype: "F32, F16, BF16, F64 or mixed"
        case .source: "import, merge, trained-here"
        case .author: "author in its model card"
        case .licence: "licence in its model card"
        case .tag: "tag:K or tag:K=V"
        case .alias: "an alias"
        case .finding: "code of a finding, or the area of codes"
        case .object, .id: "beginning of the content id"
        case .parent: "name of an adapter that it was made from"
        case .child: "name of an adapter made from it"
        case .rank: "rank; < and <= mean the largest, > and >= the smallest"
        case .modules: "number of modules"
        case .parameters: "numbers stored in the factors"
        case .bytes: "size of its files; 10MiB and 10MB are understood"
        case .version: "version number"
        case .created: "time of import: created>2026-01"
        }
    }
}

/// What queries can name in this bank.
struct FindVocabulary {
    let tagKeys: Set<String>
    let metrics: Set<String>
    /// Metrics that are understood even before one was stored.
    static let knownMetrics: Set<String> = ["acc", "acc_global", "acc_local", "forgetting", "bwt", "last"]

    init(tagKeys: Set<String>, metrics: Set<String>) {
        self.tagKeys = tagKeys
        self.metrics = metrics
    }

    init(_ db: Database) throws {
        self.init(
            tagKeys: Set(try String.fetchAll(db, sql: "SELECT DISTINCT key FROM tag")),
            metrics: Set(try String.fetchAll(db, sql: "SELECT DISTINCT name FROM metric")))
    }

    func isMetric(_ name: String) -> Bool { metrics.contains(name) || FindVocabulary.knownMetrics.contains(name) }

    var words: [String] {
        (FindField.allCases.map(\.rawValue) + tagKeys + metrics + FindVocabulary.knownMetrics).sorted()
    }
}
