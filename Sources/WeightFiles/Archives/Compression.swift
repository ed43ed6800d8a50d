import CArchive

/// A layer of compression around an archive.
enum Compression: CaseIterable {
    case gzip, bzip2, xz, zstd, lz4, lzip, compress

    /// The first bytes of a file of this kind.
    var signature: [UInt8] {
        switch self {
        case .gzip: [0x1F, 0x8B]
        case .bzip2: [0x42, 0x5A, 0x68]
        case .xz: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]
        case .zstd: [0x28, 0xB5, 0x2F, 0xFD]
        case .lz4: [0x04, 0x22, 0x4D, 0x18]
        case .lzip: [0x4C, 0x5A, 0x49, 0x50]
        case .compress: [0x1F, 0x9D]
        }
    }

    /// The kind that `bytes` begin with.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let kind = Compression.allCases.first(where: { bytes.starts(with: $0.signature) }) else { return nil }
        self = kind
    }

    /// Lets libarchive undo this kind, and no other: filters that start programs stay off.
    func enable(in archive: OpaquePointer) -> Int32 {
        switch self {
        case .gzip: archive_read_support_filter_gzip(archive)
        case .bzip2: archive_read_support_filter_bzip2(archive)
        case .xz: archive_read_support_filter_xz(archive)
        case .zstd: archive_read_support_filter_zstd(archive)
        case .lz4: archive_read_support_filter_lz4(archive)
        case .lzip: archive_read_support_filter_lzip(archive)
        case .compress: archive_read_support_filter_compress(archive)
        }
    }
}
