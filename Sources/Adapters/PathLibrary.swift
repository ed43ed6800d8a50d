import Diagnostics
import Foundation

/// Adapters named by their paths only: what merging uses where there is no bank.
public struct PathLibrary: AdapterLibrary {
    public var options: AdapterReader.Options

    public init(options: AdapterReader.Options = AdapterReader.Options()) {
        self.options = options
    }

    /// Resolves `path:<folder, file or archive>` and plain paths.
    ///
    /// - Throws: `reference.not_found` for anything else and for paths that do not exist, and what reading throws.
    public func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
        let written = reference.hasPrefix("path:") ? String(reference.dropFirst("path:".count)) : reference
        let path = written.hasPrefix("/") || folder.isEmpty ? written : folder + "/" + written
        guard FileManager.default.fileExists(atPath: path) else {
            throw Failure(
                .referenceNotFound, "no adapter '\(reference)': no such file or folder", path: path,
                hint: "names and tags need a bank: --bank DIR")
        }
        let location = try AdapterLocation.only(at: path)
        return [
            NamedAdapter(
                name: location.name, version: nil, object: nil, reference: reference,
                adapter: try AdapterReader.read(location, options: options))
        ]
    }
}
