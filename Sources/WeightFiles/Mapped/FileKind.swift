import Diagnostics

/// What a file seems to be by its first bytes (and, for zip, by the names inside).
public enum FileKind: String, Sendable, CaseIterable {
    case empty
    case safetensors
    case gguf
    case html
    case lfsPointer
    case jsonError
    case json
    case gzip
    case bzip2
    case xz
    case zstd
    case zip
    case pickleZip
    case pickle
    case tar
    case unknown

    /// Looks at `bytes`, a whole file or its beginning. Never fails, never reads beyond `bytes`.
    public static func sniff(_ bytes: UnsafeRawBufferPointer) -> FileKind {
        guard !bytes.isEmpty else { return .empty }
        // First: the length of a header may happen to begin like another kind's signature.
        if looksLikeSafetensors(bytes) { return .safetensors }
        if let signature = signatures.first(where: { bytes.starts(with: $0.bytes) }) {
            return signature.kind == .zip && holdsPickle(bytes) ? .pickleZip : signature.kind
        }
        if bytes.count >= 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) { return .pickle }
        if bytes.count >= 265, bytes[257..<262].elementsEqual("ustar".utf8) { return .tar }
        return textKind(bytes)
    }

    public static func sniff(_ bytes: [UInt8]) -> FileKind { bytes.withUnsafeBytes { sniff($0) } }

    /// True for the kinds that only an interpreter of pickles could read.
    public var isPickle: Bool { self == .pickle || self == .pickleZip }

    private static let signatures: [(bytes: [UInt8], kind: FileKind)] = [
        ([0x1F, 0x8B], .gzip),
        (Array("BZh".utf8), .bzip2),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], .xz),
        ([0x28, 0xB5, 0x2F, 0xFD], .zstd),
        ([0x50, 0x4B, 0x03, 0x04], .zip),
        ([0x50, 0x4B, 0x05, 0x06], .zip),
        (Array("GGUF".utf8), .gguf),
        (Array("version https://git-lfs".utf8), .lfsPointer),
    ]

    /// PyTorch's zip holds `NAME/data.pkl`. Names stand at the beginning of an entry and in the directory at the end.
    private static func holdsPickle(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let window = 1 << 16
        let name = Array("data.pkl".utf8)
        return contains(name, in: bytes.prefix(window)) || contains(name, in: bytes.suffix(window))
    }

    private static func contains(_ word: [UInt8], in bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard bytes.count >= word.count else { return false }
        return (bytes.startIndex...bytes.endIndex - word.count).contains { start in
            bytes[start] == word[0] && bytes[start..<start + word.count].elementsEqual(word)
        }
    }

    private static func looksLikeSafetensors(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 10, let base = bytes.baseAddress, bytes[8] == UInt8(ascii: "{") else { return false }
        return UInt64(littleEndian: base.loadUnaligned(as: UInt64.self)) <= SafetensorsHeader.maximumLength
    }

    private static func textKind(_ bytes: UnsafeRawBufferPointer) -> FileKind {
        let start = bytes.prefix(512).drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        let text = String(decoding: start.prefix(32), as: UTF8.self).lowercased()
        if text.hasPrefix("<!doctype") || text.hasPrefix("<html") { return .html }
        if text.hasPrefix("{\"error\"") { return .jsonError }
        return text.hasPrefix("{") ? .json : .unknown
    }
}

extension FileKind {
    /// The error that says what was found where weights were expected; nil when the kind tells nothing.
    func mistakenForWeights(path: String) -> Failure? {
        switch self {
        case .html:
            Failure(
                .fileHtml, "this is a web page, not a weight file", path: path,
                hint: "the download saved an error or login page: fetch the file itself")
        case .lfsPointer:
            Failure(
                .fileLfsPointer, "this is a git-lfs pointer, not the content", path: path,
                hint: "run 'git lfs pull' in the repository it came from")
        case .jsonError:
            Failure(
                .fileJson, "this is a JSON error message, not a weight file", path: path,
                hint: "the download failed: fetch the file again")
        case .pickleZip:
            Failure(.filePickleZip, "this is a PyTorch zip, not a safetensors file", path: path, hint: Self.pickleHint)
        case .pickle:
            Failure(.filePickle, "this is a Python pickle, not a safetensors file", path: path, hint: Self.pickleHint)
        case .gzip, .bzip2, .xz, .zstd, .zip:
            Failure(
                .fileCompressed, "this is a compressed file (\(rawValue)), not a safetensors file", path: path,
                hint: "unpack it first, or import the archive itself")
        case .empty, .safetensors, .gguf, .json, .tar, .unknown: nil
        }
    }

    /// The refusal of pickles: they run code when they are read.
    public static func pickleRefusal(path: String) -> Failure {
        Failure(
            .pickleRefused, "this is a pickle: reading it would run the code inside", path: path, hint: pickleHint)
    }

    private static let pickleHint = "convert it to safetensors on the machine that trained it"
}
