import Adapters
import Diagnostics
import Digests
import Foundation
import Governance
import WeightFiles

/// The road of an adapter into the bank, from its copy in a workspace to its row in the catalogue.
///
/// Order: inspect the copy, write the archive and synchronise it, place it under its digest, one transaction, report.
struct AdapterIntake {
    let bank: Bank
    let workspace: BankWorkspace
    /// The copy: what is inspected and stored.
    let location: AdapterLocation
    /// What copying left out or changed.
    var findings: [Finding] = []
    /// The source as the user named it, for errors.
    var sourcePath: String?

    /// Copies a source into the workspace.
    ///
    /// - Throws: `path.*`, `pickle.refused`, `archive.*`, `adapter.weights_missing`, `io.*`.
    static func copying(
        _ source: AdapterLocation, into workspace: BankWorkspace, of bank: Bank, select: String?
    ) throws -> AdapterIntake {
        try refuseTooLarge(source, limit: bank.settings.limits.maxAdapterBytes)
        try FileCalls.makeFolder(workspace.scratch, mode: 0o700)
        let staged = try explaining(source.path, workspace: workspace) {
            try source.stage(into: workspace.scratch, select: select)
        }
        var intake = AdapterIntake(bank: bank, workspace: workspace, location: staged.location)
        intake.findings = staged.findings + (try foldersLeftOut(source))
        intake.sourcePath = source.path
        return intake
    }

    /// Inspects, packs, places and enters the copy.
    ///
    /// - Parameters:
    ///   - reading: facts that the files do not say themselves.
    ///   - threads: workers of the inspection.
    func store(
        _ entry: AdapterEntry, reading: ObjectManifest.ReadingFacts, threads: Int
    ) throws -> ImportOutcome {
        try AdapterIntake.explaining(sourcePath, workspace: workspace) {
            let adapter = try AdapterReader.read(location, options: reading.options)
            let report = try inspect(adapter, threads: threads)
            let files = try packed()
            let manifest = ObjectManifest(adapter, reading: reading, files: files.map(\.file))
            let members =
                [BankArchiveWriter.Member(ObjectManifest.memberName, Array(manifest.text.utf8))]
                + files.map { BankArchiveWriter.Member($0.file.member, $0.content) }
            if FileCalls.facts(workspace.archivePath) != nil { try FileCalls.removeFile(workspace.archivePath) }
            let archive = try BankArchiveWriter.write(members, to: workspace.archivePath, durability: .content)
            let object = archive.digest.hex
            let isNew = try bank.store.place(workspace.archivePath, as: object)
            var entry = entry
            entry.object = object
            entry.objectBytes = archive.size
            entry.manifest = manifest
            entry.findings = unique(findings + report.findings)
            entry.modules = report.modules
            entry.card = ModelCard(adapter.card)
            return try bank.enter(entry, archive: workspace.archivePath, isNewObject: isNew)
        }
    }

    private func inspect(_ adapter: Adapter, threads: Int) throws -> InspectionReport {
        var options = Inspector.Options()
        options.threads = threads
        options.peerNorms = try bank.peerNorms(base: adapter.base.name, rank: adapter.rankMax)
        let report = Inspector.inspect(adapter, options: options)
        try report.throwIfRefused()
        return report
    }

    /// The files of the copy in archive order, with their digests.
    private func packed() throws -> [(file: ObjectFile, content: MappedBytes)] {
        let folder = location.form == .folder ? location.path : (location.path as NSString).deletingLastPathComponent
        let files = try location.files().filter { $0.role != .pickle && $0.role != .executable }
        return try files.enumerated().map { number, file in
            let content = try MappedBytes(path: folder + "/" + file.name, followLinks: false)
            let described = ObjectFile(
                member: MemberName.safe(for: file.name, number: number + 1), name: file.name, size: content.count,
                digest: content.digest().hex, kind: file.role.rawValue)
            return (described, content)
        }
    }

    /// Errors name the source, not the copy that nobody knows.
    private static func explaining<T>(_ source: String?, workspace: BankWorkspace, _ body: () throws -> T) throws -> T {
        do { return try body() } catch var failure as Failure {
            guard let source else { throw failure }
            if let path = failure.path, path.hasPrefix(workspace.root) {
                let name = (path as NSString).lastPathComponent
                let isWhole =
                    (source as NSString).lastPathComponent == name || path.hasSuffix("/scratch")
                    || path.hasSuffix("/adapter") || path.hasSuffix("/members")
                failure.path = isWhole ? source : source + "/" + name
            }
            throw failure.at(path: source)
        }
    }

    private static func refuseTooLarge(_ source: AdapterLocation, limit: Int) throws {
        let size =
            source.form == .archive
            ? FileCalls.facts(source.path)?.size ?? 0
            : try source.files().reduce(0) { $0 + $1.size }
        guard size <= limit else {
            throw Failure(
                .ioTooLarge, "the adapter has \(size) bytes, the bank's limit is \(limit)", path: source.path,
                hint: "raise max_adapter_bytes in \(BankLayout.settingsName)")
        }
    }

    private static func foldersLeftOut(_ source: AdapterLocation) throws -> [Finding] {
        guard source.form == .folder else { return [] }
        return try FileCalls.names(in: source.path).filter { name in
            !name.hasPrefix(".") && FileCalls.facts(source.path + "/" + name)?.isFolder == true
        }.map { Finding(.fileLeftOut, .info, place: $0 + "/", details: "folders inside an adapter are not stored") }
    }

    /// The copy is found out about once more when it is read: the same finding counts once.
    private func unique(_ findings: [Finding]) -> [Finding] {
        var seen: Set<[String]> = []
        return findings.filter { seen.insert([$0.code, $0.place]).inserted }
    }
}

extension ObjectManifest {
    fileprivate init(_ adapter: Adapter, reading: ReadingFacts, files: [ObjectFile]) {
        let dtypes = Set(adapter.modules.flatMap { [$0.a.dtype.rawValue, $0.b.dtype.rawValue] })
        let isPlain = adapter.modules.allSatisfy { $0.magnitude == nil }
        self.init(
            layout: adapter.format, kind: isPlain ? "lora" : "dora", base: adapter.base.name,
            revision: adapter.base.revision, deltaID: adapter.deltaID().hex, modules: adapter.modules.count,
            parameters: adapter.parameterCount, rankMin: adapter.rankMin, rankMax: adapter.rankMax,
            dtype: dtypes.count == 1 ? dtypes.first ?? "" : "mixed", reading: reading, files: files)
    }
}
