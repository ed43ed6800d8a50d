import Diagnostics
import Foundation
import WeightFiles

/// An adapter whose files were copied (or unpacked) into a folder of our own: what is inspected and stored is this copy,
/// never the source again.
public struct StagedAdapter: Sendable {
    /// The copy: a folder, or a bare weight file in it.
    public let location: AdapterLocation
    /// The files that were copied, by name. Pickles and programs are not.
    public let files: [AdapterFile]
    /// What was left out or changed on the way (`pickle.ignored`, `file.executable_content`, `file.mode_dropped`).
    public let findings: [Finding]
}

extension AdapterLocation {
    /// Copies the adapter's files into `folder`, which exists and is empty. Sources are opened without following links;
    /// modes, owners and times are not kept.
    ///
    /// - Parameter select: which adapter of an archive that holds several: its folder in the archive.
    /// - Throws: `path.*`, `pickle.refused`, `archive.*`, `adapter.weights_missing`, `io.*`. What was written until then
    ///   stays; the caller removes the folder.
    public func stage(into folder: String, select: String? = nil) throws -> StagedAdapter {
        switch form {
        case .folder, .file: try stageFiles(into: folder)
        case .archive: try ArchiveStaging(path: path, folder: folder, select: select).run()
        }
    }

    private func stageFiles(into folder: String) throws -> StagedAdapter {
        let source = form == .folder ? path : PathSplit.folder(of: path)
        let all = try files()
        let kept = all.filter { $0.role != .pickle && $0.role != .executable }
        // A pickle alone is refused before anything is copied.
        if all.contains(where: { $0.role == .pickle }),
            !all.contains(where: { $0.role == .weights || $0.role == .index })
        {
            throw FileKind.pickleRefusal(path: path)
        }
        for file in kept {
            let content = try MappedBytes(path: source + "/" + file.name, followLinks: false)
            let copy = try AtomicFile(
                path: folder + "/" + file.name, expectedSize: content.count, durability: .none)
            try content.forEachPiece { try copy.append($0) }
            try copy.commit()
        }
        let location = form == .folder ? folder : folder + "/" + (kept.first?.name ?? "")
        return StagedAdapter(
            location: AdapterLocation(path: location, form: form), files: kept,
            findings: all.compactMap(StagedAdapter.finding))
    }
}

extension StagedAdapter {
    /// What is said about a file that is not copied.
    static func finding(for file: AdapterFile) -> Finding? {
        switch file.role {
        case .pickle:
            Finding(
                .pickleIgnored, .warning, place: file.name, details: "a pickle beside the weights; it is never opened")
        case .executable:
            Finding(
                .fileExecutableContent, .warning, place: file.name,
                details: "a program travels with the adapter; it is never run")
        default: nil
        }
    }
}

enum PathSplit {
    /// The part before the last slash, `.` when there is none.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The part behind the last slash.
    static func last(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}
