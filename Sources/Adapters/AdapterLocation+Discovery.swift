import Diagnostics
import Foundation

extension AdapterLocation {
    /// What can be read at `path`: every adapter folder at or below a folder (an adapter folder is a leaf), an archive,
    /// or a single weight file. Sorted by path. Hidden files and folders are ignored, links to folders not followed.
    ///
    /// - Throws: `io.not_found`, `path.symlink`, `path.special_file`, `adapter.weights_missing` when there is none.
    public static func discover(at path: String) throws -> [AdapterLocation] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Failure(.ioNotFound, "no such file or folder", path: path)
        }
        return [AdapterLocation(path: path, form: isFolder.boolValue ? .folder : .file)]
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

    static func name(of path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        let extensions = [
            ".safetensors", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar",
            ".zip", ".gguf", ".bin",
        ]
        for ending in extensions where last.lowercased().hasSuffix(ending) && last.count > ending.count {
            return String(last.dropLast(ending.count))
        }
        return last
    }
}
