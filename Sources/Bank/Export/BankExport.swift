import Adapters
import Diagnostics
import Foundation
import WeightFiles

/// An adapter of the bank as a PEFT folder: what would be written, and writing it.
///
/// A folder that came in goes out with the same bytes. Only where facts were given at import that the files do not hold
/// (`--base`, `--alpha`, `--trust-tensors`) are configuration and weights written anew.
public struct BankExport: Sendable {
    public struct File: Sendable, Hashable {
        public var name: String
        public var size: Int
        /// The bytes are those that came in.
        public var isOriginal: Bool

        public init(name: String, size: Int, isOriginal: Bool) {
            self.name = name
            self.size = size
            self.isOriginal = isOriginal
        }
    }

    public let row: AdapterRow
    /// Sorted by name.
    public let files: [File]
    private let originals: [(name: String, content: MappedBytes)]
    /// What is written anew; nil when all files are originals.
    private let rewritten: Adapter?

    /// - Throws: `policy.*` when the adapter may not be used, `bank.object_*`.
    public init(_ bank: Bank, _ row: AdapterRow, allowUnapproved: Bool = false) throws {
        try bank.authoriseUse(of: [row], for: "export", allowUnapproved: allowUnapproved)
        let object = try bank.store.open(row.object)
        self.row = row
        let isFaithful = object.manifest.reading == ObjectManifest.ReadingFacts()
        let kept = object.manifest.files.filter { isFaithful || !BankExport.rewrittenKinds.contains($0.kind) }
        originals = try kept.map { ($0.name, try object.archive.open($0.member)) }
        var rewritten = isFaithful ? nil : try object.adapter()
        // The head is among the originals.
        rewritten?.head = nil
        self.rewritten = rewritten
        let new = try rewritten.map(BankExport.newFiles) ?? []
        let old = kept.map { File(name: $0.name, size: $0.size, isOriginal: true) }
        files = (old + new).sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// Builds the folder under another name and renames it.
    ///
    /// - Throws: `output.exists` without `overwrite`, `io.*`.
    public func write(to folder: String, overwrite: Bool) throws {
        let target = try AtomicFolder(path: folder, overwrite: overwrite)
        for (name, content) in originals {
            let file = try AtomicFile(path: target.file(name), expectedSize: content.count)
            try file.append(content.bytes)
            try file.commit()
        }
        if let rewritten { try PEFTWriter.write(rewritten, into: target.temporaryPath) }
        try target.commit()
    }

    private static let rewrittenKinds: Set<String> = [
        AdapterFile.Role.configuration.rawValue, AdapterFile.Role.weights.rawValue, AdapterFile.Role.index.rawValue,
    ]

    private static func newFiles(_ adapter: Adapter) throws -> [File] {
        let layout = PEFTLayout(adapter)
        let configuration = PEFTWriter.configuration(for: layout, base: adapter.base, source: adapter.configuration)
        return [
            File(
                name: PEFTWriter.configurationName, size: PEFTWriter.configurationText(configuration).count,
                isOriginal: false),
            File(
                name: PEFTWriter.weightsName, size: try PEFTWriter.weightsLayout(for: layout).fileSize,
                isOriginal: false),
        ]
    }
}
