import Diagnostics
import Digests
import Foundation
import WeightFiles

/// The files of a folder that is to be imported, with their digests.
struct ResourceFiles {
    struct File {
        /// Relative to the folder.
        var name: String
        var path: String
        var size: Int
        var digest: String
    }

    let files: [File]
    /// SHA-256 over names, sizes and digests.
    let digest: String
    var bytes: Int { files.reduce(0) { $0 + $1.size } }

    /// Weights in other forms lie beside the safetensors files of many models; a backbone does not read them.
    private static let backboneEndings = [".json", ".safetensors", ".txt", ".model", ".md"]

    /// - Throws: `io.not_found`, `io.failed`, `io.too_large` for more than a million files.
    init(folder: String, kind: BankResource.Kind, progress: any Diagnostics.ProgressReporting) throws {
        var found: [(name: String, path: String)] = []
        try Self.collect(folder, prefix: "", recursive: kind == .data, into: &found)
        if kind == .backbone {
            found = found.filter { file in
                Self.backboneEndings.contains { file.name.hasSuffix($0) } || file.name.hasPrefix("LICENSE")
            }
        }
        guard !found.isEmpty else { throw Failure(.ioNotFound, "the folder holds no files", path: folder) }
        progress.begin("reading", total: Int64(found.count), unit: "files")
        defer { progress.end() }
        files = try found.map { file in
            let bytes = try MappedBytes(path: file.path)
            let result = File(
                name: file.name, path: file.path, size: bytes.bytes.count, digest: bytes.digest().hex)
            progress.advance(by: 1)
            return result
        }
        let listing = files.map { "\($0.digest) \($0.size) \($0.name)\n" }.joined()
        digest = SHA256Digest.of(listing).hex
    }

    /// Regular files, links followed, hidden ones left out, in the order of their names.
    private static func collect(
        _ folder: String, prefix: String, recursive: Bool, into found: inout [(name: String, path: String)]
    ) throws {
        for name in try FileCalls.names(in: folder) where !name.hasPrefix(".") {
            let path = folder + "/" + name
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
            if isFolder.boolValue {
                if recursive { try collect(path, prefix: prefix + name + "/", recursive: true, into: &found) }
            } else {
                guard found.count < 1_000_000 else {
                    throw Failure(.ioTooLarge, "more than a million files", path: folder)
                }
                found.append((prefix + name, path))
            }
        }
    }

    /// Copies everything into a folder that appears complete.
    ///
    /// - Throws: `io.*`.
    func copy(to folder: String, progress: any Diagnostics.ProgressReporting) throws {
        let target = try AtomicFolder(path: folder)
        progress.begin("copying", total: Int64(bytes), unit: "bytes")
        defer { progress.end() }
        for file in files {
            let place = target.file(file.name)
            let parent = (place as NSString).deletingLastPathComponent
            do {
                try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
                let real = URL(fileURLWithPath: file.path).resolvingSymlinksInPath().path
                try FileManager.default.copyItem(atPath: real, toPath: place)
            } catch {
                throw Failure(.ioFailed, "cannot copy the file", path: file.path)
            }
            progress.advance(by: Int64(file.size))
        }
        try target.commit()
    }
}
