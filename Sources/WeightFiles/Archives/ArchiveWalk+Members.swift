import CArchive
import Diagnostics
import Foundation

/// The members of a container, one after another, and the rules for each.
extension ArchiveWalk {
    mutating func readMembers(
        _ handle: ArchiveHandle, _ choose: ChooseName
    ) throws {
        while true {
            var entry: OpaquePointer?
            let status = archive_read_next_header(handle.pointer, &entry)
            if status == ARCHIVE_EOF { break }
            // A warning may come with a name that is unsafe: the name is looked at first.
            guard let entry, status == ARCHIVE_OK || status == ARCHIVE_WARN else { throw handle.failure() }
            try readMember(entry, handle, isDoubtful: status != ARCHIVE_OK, choose)
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
            throw Failure(
                .archiveCorrupt, "the member is not in the zip file's directory", path: path, place: name.text)
        }
        noteMode(Int(archive_entry_perm(entry)), name)
        try readContent(entry, handle, name, choose)
    }

    private mutating func readContent(
        _ entry: OpaquePointer, _ handle: ArchiveHandle, _ name: MemberName, _ choose: ChooseName
    ) throws {
        guard !name.components.isEmpty else { throw Failure(.pathBadName, "a file has no name", path: path) }
        let declared =
            directory?[name.text] ?? (archive_entry_size_is_set(entry) != 0 ? Int(archive_entry_size(entry)) : nil)
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

    static func checkType(_ type: Int, isHardLink: Bool, name: [UInt8], path: String) throws {
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

    func checkUnpacked(_ unpacked: Int, packed: Int?) throws {
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

    func encrypted(_ name: MemberName?) -> Failure {
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
            .archiveCorrupt,
            "the member's content does not have the \(declared.map(String.init) ?? "stated") bytes it claims",
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
