import Diagnostics
import Foundation
import WeightFiles

/// Unpacks the one adapter of an archive: at the top of it or one folder down.
///
/// Members are written under numbers; only after the whole archive was read and checked do the files of the chosen
/// adapter get their own (checked, plain) names.
struct ArchiveStaging {
    let path: String
    let folder: String
    let select: String?

    private struct Member {
        let folder: String
        let file: AdapterFile
        let storedAt: String?
    }

    func run() throws -> StagedAdapter {
        let unpacked = folder + "/members"
        try makeFolder(unpacked)
        let listing = try ArchiveReader(path: path).unpack(into: unpacked) { name, number in
            let role = AdapterFile.role(of: PathSplit.last(of: name))
            return role == .pickle || role == .executable ? nil : "\(number)"
        }
        let members = listing.members.compactMap(member)
        let chosen = try choose(among: members)
        let target = folder + "/adapter"
        try makeFolder(target)
        let own = members.filter { $0.folder == chosen }
        for member in own {
            guard let stored = member.storedAt else { continue }
            guard rename(stored, target + "/" + member.file.name) == 0 else {
                throw Failure(.ioFailed, "cannot name a file: \(String(cString: strerror(errno)))", path: path)
            }
        }
        try? FileManager.default.removeItem(atPath: unpacked)
        if !own.contains(where: { $0.file.role == .weights || $0.file.role == .index }),
            own.contains(where: { $0.file.role == .pickle })
        {
            throw FileKind.pickleRefusal(path: path)
        }
        return StagedAdapter(
            location: AdapterLocation(path: target, form: .folder),
            files: own.filter { $0.storedAt != nil }.map(\.file),
            findings: listing.findings + members.compactMap { StagedAdapter.finding(for: $0.file) })
    }

    private func makeFolder(_ path: String) throws {
        guard mkdir(path, 0o700) == 0 else {
            throw Failure(.ioFailed, "cannot create a folder: \(String(cString: strerror(errno)))", path: path)
        }
    }

    /// nil for hidden files and what macOS adds to archives.
    private func member(_ entry: ArchiveMember) -> Member? {
        let parts = entry.name.split(separator: "/").map(String.init)
        guard let name = parts.last, !parts.contains(where: { $0.hasPrefix(".") }), parts.first != "__MACOSX" else {
            return nil
        }
        return Member(
            folder: parts.dropLast().joined(separator: "/"),
            file: AdapterFile(name: name, role: AdapterFile.role(of: name), size: entry.size), storedAt: entry.storedAt)
    }

    private func choose(among members: [Member]) throws -> String {
        let marked = Set(members.filter { AdapterFile.marks.contains($0.file.name) }.map(\.folder))
        let folders = marked.sorted(by: Adapter.namePrecedes)
        let names = folders.map { $0.isEmpty ? "the top" : $0 }.joined(separator: ", ")
        if let select {
            let wanted = select.split(separator: "/").joined(separator: "/")
            guard marked.contains(wanted) else {
                throw Failure(
                    .archiveAmbiguous, "no adapter '\(select)' in the archive", path: path,
                    hint: folders.isEmpty ? nil : "it holds: \(names)")
            }
            return wanted
        }
        let near = folders.filter { !$0.contains("/") }
        guard let first = near.first else {
            throw Failure(
                .adapterWeightsMissing, "no adapter at the top of the archive or one folder down", path: path,
                hint: folders.isEmpty
                    ? "an adapter is adapter_config.json and adapter_model.safetensors"
                    : "name it: --select \(folders[0])")
        }
        guard near.count == 1 else {
            throw Failure(
                .archiveAmbiguous, "\(near.count) adapters in the archive", path: path,
                hint: "choose one with --select: \(names)")
        }
        return first
    }
}
