import Diagnostics

/// A file that belongs to an adapter folder.
public struct AdapterFile: Hashable, Sendable {
    public enum Role: String, Sendable, CaseIterable {
        case configuration
        /// A safetensors file.
        case weights
        /// The index of sharded weights.
        case index
        /// A classifier beside the adapter (``AdapterHead``).
        case head
        /// The model card.
        case card
        /// A pickle: never opened.
        case pickle
        /// A program or library: never run, never imported.
        case executable
        case other
    }

    /// Plain name inside the folder.
    public let name: String
    public internal(set) var role: Role
    public let size: Int

    static let configurationName = "adapter_config.json"
    static let weightsName = "adapter_model.safetensors"
    static let indexName = "adapter_model.safetensors.index.json"
    static let pickleName = "adapter_model.bin"
    /// MLX-LM's name of the weights.
    static let foreignWeightsName = "adapters.safetensors"

    /// Names that make a folder an adapter folder.
    static let marks = [configurationName, weightsName, indexName, pickleName, foreignWeightsName]

    static func role(of name: String) -> Role {
        let lower = name.lowercased()
        switch lower {
        case configurationName: return .configuration
        case indexName: return .index
        case "readme.md": return .card
        case AdapterHead.fileName: return .head
        default: break
        }
        let ending =
            lower.split(separator: ".", omittingEmptySubsequences: false).dropFirst().last.map(String.init) ?? ""
        if ending == "safetensors" { return .weights }
        if pickleEndings.contains(ending) { return .pickle }
        return executableEndings.contains(ending) ? .executable : .other
    }

    static let pickleEndings: Set<String> = ["bin", "pt", "pth", "pkl", "pickle", "ckpt", "joblib"]

    private static let executableEndings: Set<String> = [
        "py", "pyc", "pyo", "pyd", "pyw", "so", "dll", "dylib", "exe", "com", "sh", "bash", "zsh", "fish", "bat", "cmd",
        "ps1", "vbs", "js", "mjs", "jar", "class", "pl", "rb", "lua", "php", "wasm", "node", "elf", "appimage", "run",
        "desktop", "scpt", "ipynb",
    ]
}

extension AdapterLocation {
    /// The regular files of an adapter folder that are not hidden, sorted by name; subfolders are not part of it.
    /// For a bare weight file, that file.
    ///
    /// - Throws: `path.symlink`, `path.special_file` for an entry that is a link, pipe, socket or device.
    public func files() throws -> [AdapterFile] {
        guard form == .folder else {
            return [
                AdapterFile(
                    name: PathSplit.last(of: path), role: .weights, size: FolderListing.status(of: path)?.size ?? 0)
            ]
        }
        return try FolderListing(path).entries.compactMap { entry in
            switch entry.kind {
            case .file: return AdapterFile(name: entry.name, role: AdapterFile.role(of: entry.name), size: entry.size)
            case .folder: return nil
            case .link: throw AdapterLocation.linkFailure(path + "/" + entry.name)
            case .special: throw Failure(.pathSpecialFile, "not a regular file", path: path + "/" + entry.name)
            }
        }
    }

    static func linkFailure(_ path: String) -> Failure {
        Failure(
            .pathSymlink, "a symbolic link stands where a file is expected", path: path,
            hint: "copy the files themselves (cp -rL) and read the copy")
    }
}

extension AdapterFile {
    /// True for files that begin as programs do: ELF, Windows executables, scripts with `#!`.
    static func looksExecutable(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) || bytes.starts(with: [0x4D, 0x5A])
            || bytes.starts(with: [0x23, 0x21])
    }
}
