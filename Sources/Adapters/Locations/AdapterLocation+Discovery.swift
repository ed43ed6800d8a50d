import Diagnostics
import Foundation
import Tensors
import WeightFiles

extension AdapterLocation {
    /// What can be read at `path`: every adapter folder at or below a folder (an adapter folder is a leaf), an archive,
    /// or a single weight file. Sorted by path. Hidden files and folders are ignored, links to folders not followed
    /// (except `path` itself).
    ///
    /// - Throws: `io.not_found`, `path.symlink`, `path.special_file`, `adapter.weights_missing` when there is none.
    public static func discover(at path: String) throws -> [AdapterLocation] {
        guard let status = FolderListing.status(of: path) else {
            throw Failure(.ioNotFound, "no such file or folder", path: path)
        }
        switch status.kind {
        case .file: return [AdapterLocation(path: path, form: try form(ofFile: path))]
        case .special: throw Failure(.pathSpecialFile, "not a regular file", path: path)
        case .link where !FolderListing.isFolder(path): throw linkFailure(path)
        case .link, .folder: break
        }
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let found = try adapterFolders(at: trimmed, depth: 0)
        guard !found.isEmpty else {
            throw Failure(
                .adapterWeightsMissing, "no adapter at or below this folder", path: path,
                hint: "an adapter folder holds adapter_config.json and adapter_model.safetensors")
        }
        return found.map { AdapterLocation(path: $0, form: .folder) }
    }

    /// The one adapter at `path`.
    ///
    /// - Throws: as ``discover(at:)``, and `reference.ambiguous` when several adapters stand below the path.
    public static func only(at path: String) throws -> AdapterLocation {
        let found = try discover(at: path)
        guard found.count == 1, let location = found.first else {
            throw Failure(
                .referenceAmbiguous, "\(found.count) adapters stand below this folder", path: path,
                hint: "name one of them: " + found.prefix(5).map(\.path).joined(separator: ", "))
        }
        return location
    }

    /// True for a folder that holds an adapter itself, by the names of its files.
    public static func isAdapterFolder(_ path: String) -> Bool {
        AdapterFile.marks.contains { FolderListing.status(of: path + "/" + $0) != nil }
    }

    private static let deepest = 32

    static func adapterFolders(at path: String, depth: Int) throws -> [String] {
        let listing = try FolderListing(path)
        if AdapterFile.marks.contains(where: listing.contains) { return [path] }
        guard depth < deepest else { return [] }
        let folders = listing.entries.filter { $0.kind == .folder }
        return try folders.flatMap { try adapterFolders(at: path + "/" + $0.name, depth: depth + 1) }
    }

    /// Weight files are known by their name, archives by their first bytes (or their name).
    private static func form(ofFile path: String) throws -> Form {
        let ending = path.lowercased().split(separator: ".").last.map(String.init) ?? ""
        if ending == "safetensors" || ending == "gguf" || AdapterFile.pickleEndings.contains(ending) { return .file }
        let file = try MappedFile(path: path, followLinks: false)
        switch withExtendedLifetime(file, { FileKind.sniff(file.bytes) }) {
        case .gzip, .bzip2, .xz, .zstd, .zip, .tar: return .archive
        case .safetensors, .gguf, .pickle, .pickleZip: return .file
        default: return archiveEndings.contains(ending) ? .archive : .file
        }
    }

    private static let archiveEndings: Set<String> = [
        "tar", "tgz", "tbz2", "txz", "tzst", "gz", "bz2", "xz", "zst", "zip",
    ]

    static func name(of path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        let endings = [
            ".safetensors", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar",
            ".zip", ".gguf", ".bin",
        ]
        for ending in endings where last.lowercased().hasSuffix(ending) && last.count > ending.count {
            return String(last.dropLast(ending.count))
        }
        return last
    }
}
