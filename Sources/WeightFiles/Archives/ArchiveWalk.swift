import CArchive
import Diagnostics
import Foundation
import Tensors

/// One pass over an archive: applies the rules to each member as it comes and collects what is there.
struct ArchiveWalk {
    typealias ChooseName = (_ name: String, _ number: Int) throws -> String?

    let folder: String
    let limits: ArchiveLimits
    let path: String
    var names = MemberNameRegistry()
    var members: [ArchiveMember] = []
    var findings: [Finding] = []
    /// Files and folders so far.
    var count = 0
    /// Content bytes so far.
    var unpacked = 0
    /// Packed bytes that `unpacked` is compared with; nil where the source itself watches the ratio.
    var packedBytes: Int?
    /// Names and sizes a zip file's directory gives.
    var directory: [String: Int]?

    init(folder: String, limits: ArchiveLimits, path: String) {
        self.folder = folder
        self.limits = limits
        self.path = path
    }

    /// - Throws: `archive.empty`.
    func listing() throws -> ArchiveListing {
        guard !members.isEmpty else { throw Failure(.archiveEmpty, "the archive holds no file", path: path) }
        return ArchiveListing(members: members, findings: findings)
    }

    /// Bytes that libarchive gets at a time from a file that is not packed.
    private static let blockSize = 1 << 20

    // MARK: Containers

    /// A container behind one layer of compression.
    mutating func readCompressed(_ content: MappedBytes, _ compression: Compression, _ choose: ChooseName) throws {
        let feed = try UnpackedFeed(content, compression, limits: limits)
        let handle = try ArchiveHandle(path: path)
        try handle.check(archive_read_support_format_tar(handle.pointer))
        try handle.check(archive_read_support_format_cpio(handle.pointer))
        try handle.open(feed)
        try readMembers(handle, choose)
        let end = Int(archive_read_header_position(handle.pointer))
        // To the end, so that the checksum of the whole is compared.
        while try feed.next() != nil {}
        if ArchiveWalk.isTar(handle) {
            try checkTarEnd(membersEnd: end, size: feed.delivered, contentEnd: feed.contentEnd)
        }
    }

    /// A container as it is, anything but zip.
    mutating func readPlain(_ content: MappedBytes, _ choose: ChooseName) throws {
        let handle = try ArchiveHandle(path: path)
        // A format that this build of libarchive lacks says so here; its files are then of an unknown format.
        for enable in ArchiveWalk.plainFormats { _ = enable(handle.pointer) }
        packedBytes = content.count
        try handle.open(MappedFeed(content, blockSize: ArchiveWalk.blockSize))
        try readMembers(handle, choose)
        guard ArchiveWalk.isTar(handle) else { return }
        let end = Int(archive_read_header_position(handle.pointer))
        let tail = content.bytes[min(end, content.count)...]
        let contentEnd = tail.lastIndex { $0 != 0 }.map { $0 + 1 } ?? end
        try checkTarEnd(membersEnd: end, size: content.count, contentEnd: contentEnd)
    }

    /// A zip file: its directory decides, and libarchive has to see the same.
    mutating func readZip(_ content: MappedBytes, _ choose: ChooseName) throws {
        var zip = try ZipDirectory(content.bytes, limits: limits, path: path)
        if zip.entries.isEmpty { return }
        try checkZip(&zip)
        let handle = try ArchiveHandle(path: path)
        try handle.check(archive_read_support_format_zip_seekable(handle.pointer))
        try handle.open(MappedFeed(content, blockSize: ArchiveWalk.blockSize))
        try readMembers(handle, choose)
        guard count == zip.entries.count else {
            throw Failure(
                .archiveCorrupt, "the directory lists \(zip.entries.count) members, \(count) can be read", path: path)
        }
    }

    /// libarchive's formats that bring their content along. Left out: mtree (names files of the disk), raw, and zip,
    /// which has its own road.
    private static let plainFormats: [@convention(c) (OpaquePointer?) -> Int32] = [
        archive_read_support_format_tar, archive_read_support_format_cpio, archive_read_support_format_ar,
        archive_read_support_format_7zip, archive_read_support_format_rar, archive_read_support_format_rar5,
        archive_read_support_format_lha, archive_read_support_format_cab, archive_read_support_format_iso9660,
        archive_read_support_format_xar, archive_read_support_format_warc,
    ]

    private static func isTar(_ handle: ArchiveHandle) -> Bool {
        archive_format(handle.pointer) & ARCHIVE_FORMAT_BASE_MASK == ARCHIVE_FORMAT_TAR
    }

    /// A tar file ends with at least one block of zeros, and nothing but zeros follows.
    private func checkTarEnd(membersEnd: Int, size: Int, contentEnd: Int) throws {
        guard contentEnd <= membersEnd else {
            throw Failure(
                .archiveCorrupt, "something follows the end of the archive", path: path,
                hint: "two programs could see different contents: repack it from the files")
        }
        guard size - membersEnd >= Ustar.blockSize else {
            throw Failure(
                .archiveTruncated, "the archive ends without its end mark", path: path,
                hint: ArchiveHandle.hint(for: .archiveTruncated))
        }
    }

    // MARK: Zip

    private mutating func checkZip(_ zip: inout ZipDirectory) throws {
        var registry = MemberNameRegistry()
        var sizes: [String: Int] = [:]
        for entry in zip.entries {
            let type = entry.unixMode & 0o170000
            try ArchiveWalk.checkType(type == 0 ? 0o100000 : type, isHardLink: false, name: entry.name, path: path)
            let name = try MemberName(entry.name, limits: limits, path: path)
            try registry.insert(name, isFile: !entry.isFolder && type != 0o040000, path: path)
            sizes[name.text] = entry.size
        }
        directory = sizes
        try checkZipSizes(zip)
        if let entry = zip.entries.first(where: \.isEncrypted) {
            throw Failure(
                .archiveEncrypted, "an entry is encrypted", path: path,
                place: String(decoding: entry.name, as: UTF8.self), hint: ArchiveHandle.hint(for: .archiveEncrypted))
        }
        try zip.checkLocalHeaders()
    }

    private func checkZipSizes(_ zip: ZipDirectory) throws {
        var unpacked = 0
        var packed = 0
        for entry in zip.entries.sorted(by: { $0.localOffset < $1.localOffset }) {
            unpacked = min(unpacked, .max / 2) + min(entry.size, .max / 2)
            packed = min(packed, .max / 2) + min(entry.packedSize, .max / 2)
            try checkUnpacked(unpacked, packed: min(packed, zip.byteCount))
        }
    }
}
