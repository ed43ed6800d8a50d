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
    private var names = MemberNameRegistry()
    private var members: [ArchiveMember] = []
    private var findings: [Finding] = []
    /// Files and folders so far.
    private var count = 0
    /// Content bytes so far.
    private var unpacked = 0
    /// Packed bytes that `unpacked` is compared with; nil where the source itself watches the ratio.
    private var packedBytes: Int?
    /// Names and sizes a zip file's directory gives.
    private var directory: [String: Int]?

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
        if ArchiveWalk.isTar(handle) { try checkTarEnd(membersEnd: end, size: feed.delivered, contentEnd: feed.contentEnd) }
    }

    /// A container as it is, anything but zip.
    mutating func readPlain(_ content: MappedBytes, _ choose: ChooseName) throws {
        let handle = try ArchiveHandle(path: path)
        // A format that this build of libarchive lacks says so here; its files are then of an unknown format.
        for enable in ArchiveWalk.plainFormats { _ = enable(handle.pointer) }
        packedBytes = content.count
        try handle.open(content.bytes)
        try readMembers(handle, choose, releasing: content)
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
        try handle.open(content.bytes)
        try readMembers(handle, choose, releasing: content)
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

    // MARK: Members

    private mutating func readMembers(
        _ handle: ArchiveHandle, _ choose: ChooseName, releasing content: MappedBytes? = nil
    ) throws {
        var released = 0
        while true {
            var entry: OpaquePointer?
            let status = archive_read_next_header(handle.pointer, &entry)
            if status == ARCHIVE_EOF { break }
            // A warning may come with a name that is unsafe: the name is looked at first.
            guard let entry, status == ARCHIVE_OK || status == ARCHIVE_WARN else { throw handle.failure() }
            try readMember(entry, handle, isDoubtful: status != ARCHIVE_OK, choose)
            let position = Int(archive_filter_bytes(handle.pointer, -1))
            if let content, position - released > 16 << 20, position <= content.count {
                content.file.release(content.range.lowerBound + released..<content.range.lowerBound + position)
                released = position
            }
        }
        if handle.isEncrypted { throw encrypted(nil) }
    }

    private mutating func readMember(
        _ entry: OpaquePointer, _ handle: ArchiveHandle, isDoubtful: Bool, _ choose: ChooseName
    ) throws {
        let rawName = (archive_entry_pathname_utf8(entry) ?? archive_entry_pathname(entry)).map(ArchiveWalk.bytes)
        let type = Int(archive_entry_filetype(entry))
        let isHardLink = archive_entry_hardlink_utf8(entry) != nil || archive_entry_hardlink(entry) != nil
        try ArchiveWalk.checkType(type, isHardLink: isHardLink, name: rawName ?? [], path: path)
        let name = try MemberName(rawName, limits: limits, path: path)
        let isFile = type == 0o100000
        try names.insert(name, isFile: isFile, path: path)
        count += 1
        guard count <= limits.members else {
            throw Failure(.archiveTooManyEntries, "more than \(limits.members) members", path: path)
        }
        try checkDeclaredSize(entry, name)
        if archive_entry_is_encrypted(entry) != 0 { throw encrypted(name) }
        if isDoubtful, !ArchiveWalk.concernsOwnerOnly(handle) { throw handle.failure() }
        guard isFile else { return }
        if let directory, directory[name.text] == nil {
            throw Failure(.archiveCorrupt, "the member is not in the zip file's directory", path: path, place: name.text)
        }
        noteMode(Int(archive_entry_perm(entry)), name)
        try readContent(entry, handle, name, choose)
    }

    private mutating func readContent(
        _ entry: OpaquePointer, _ handle: ArchiveHandle, _ name: MemberName, _ choose: ChooseName
    ) throws {
        guard !name.components.isEmpty else { throw Failure(.pathBadName, "a file has no name", path: path) }
        let declared = directory?[name.text] ?? (archive_entry_size_is_set(entry) != 0 ? Int(archive_entry_size(entry)) : nil)
        var sink = try MemberSink(folder: folder, name: try choose(name.text, members.count))
        do {
            try copy(handle, name, declared: declared, to: &sink)
        } catch {
            sink.close()
            throw error
        }
        let digest = sink.finish()
        members.append(ArchiveMember(name: name.text, size: sink.size, digest: digest, storedAt: sink.path))
    }

    private mutating func copy(
        _ handle: ArchiveHandle, _ name: MemberName, declared: Int?, to sink: inout MemberSink
    ) throws {
        while true {
            var base: UnsafeRawPointer?
            var size = 0
            var offset: la_int64_t = 0
            let status = archive_read_data_block(handle.pointer, &base, &size, &offset)
            if status == ARCHIVE_EOF { break }
            guard status == ARCHIVE_OK else {
                var failure = handle.failure()
                if failure.place == nil { failure.place = name.text }
                throw failure
            }
            guard size > 0 else { continue }
            guard Int(offset) == sink.size else { throw sparse(name) }
            unpacked += size
            try checkUnpacked(unpacked, packed: packedBytes)
            guard sink.size + size <= declared ?? .max else { throw wrongSize(name, declared) }
            try sink.write(UnsafeRawBufferPointer(start: base, count: size))
        }
        guard sink.size == declared ?? sink.size else { throw wrongSize(name, declared) }
    }

    // MARK: Rules

    private static func checkType(_ type: Int, isHardLink: Bool, name: [UInt8], path: String) throws {
        let code: ErrorCode
        switch type {
        case _ where isHardLink: code = .pathHardlink
        case 0o100000, 0o040000: return
        case 0o120000: code = .pathSymlink
        default: code = .pathSpecialFile
        }
        throw Failure(
            code, "only files and folders may be in an archive", path: path,
            place: String(decoding: name.prefix(1024), as: UTF8.self), hint: "repack it without links and devices")
    }

    private func checkDeclaredSize(_ entry: OpaquePointer, _ name: MemberName) throws {
        if archive_entry_sparse_count(entry) > 0 { throw sparse(name) }
        guard archive_entry_size_is_set(entry) != 0 else { return }
        let size = Int(archive_entry_size(entry))
        guard size >= 0 else { throw wrongSize(name, nil) }
        guard size <= limits.unpackedBytes - unpacked else {
            throw Failure(
                .archiveTooLarge, "the member claims \(size) bytes; all together may have \(limits.unpackedBytes)",
                path: path, place: name.text)
        }
    }

    private func checkUnpacked(_ unpacked: Int, packed: Int?) throws {
        if let packed, unpacked > limits.bombBytes, unpacked / limits.bombRatio > packed {
            throw Failure(
                .archiveBomb, "\(packed) bytes unpack to \(unpacked) and more", path: path,
                hint: "such archives are made to fill disks")
        }
        guard unpacked <= limits.unpackedBytes else {
            throw Failure(.archiveTooLarge, "it unpacks to more than \(limits.unpackedBytes) bytes", path: path)
        }
    }

    private mutating func noteMode(_ mode: Int, _ name: MemberName) {
        guard mode & 0o7111 != 0 else { return }
        findings.append(
            Finding(
                .fileModeDropped, .warning, place: name.text,
                details: "mode \(String(mode, radix: 8)) is not kept: files are stored as 644"))
    }

    private func encrypted(_ name: MemberName?) -> Failure {
        Failure(
            .archiveEncrypted, "the content is encrypted", path: path, place: name?.text,
            hint: ArchiveHandle.hint(for: .archiveEncrypted))
    }

    private func sparse(_ name: MemberName) -> Failure {
        Failure(
            .archiveTooLarge, "the member has holes", path: path, place: name.text,
            hint: "repack it without sparse members")
    }

    private func wrongSize(_ name: MemberName, _ declared: Int?) -> Failure {
        Failure(
            .archiveCorrupt, "the member's content does not have the \(declared.map(String.init) ?? "stated") bytes it claims",
            path: path, place: name.text, hint: ArchiveHandle.hint(for: .archiveCorrupt))
    }

    /// Owner and group are ignored, so their names may be anything.
    private static func concernsOwnerOnly(_ handle: ArchiveHandle) -> Bool {
        let message = archive_error_string(handle.pointer).map { String(cString: $0) } ?? ""
        return message.hasPrefix("Uname ") || message.hasPrefix("Gname ")
    }

    private static func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        UnsafeRawBufferPointer(start: text, count: strlen(text)).map { $0 }
    }
}
