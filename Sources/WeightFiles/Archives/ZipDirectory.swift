import Diagnostics

/// The directory of a zip file, read independently of libarchive, and compared with the entries it points to.
///
/// A zip file tells name, sizes and method twice. Programs that believe different copies see different contents, so
/// here both must agree, no two entries may share bytes, and the directory must stand directly before the end record.
struct ZipDirectory {
    struct Entry {
        var name: [UInt8]
        var flags: Int
        var method: Int
        var crc: UInt32
        var packedSize: Int
        var size: Int
        var localOffset: Int
        /// File type and permissions when a Unix program made the entry, else 0.
        var unixMode: Int
        /// Offsets of the entry's header and data in the file; set by `checkLocalHeaders`.
        var extent = 0..<0

        var isFolder: Bool { name.last == UInt8(ascii: "/") }
        var isEncrypted: Bool { flags & 0x2041 != 0 || method == 99 }
    }

    private(set) var entries: [Entry] = []
    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private let maximumName: Int
    /// Where the directory begins: no entry reaches beyond.
    private let start: Int

    /// Reads the directory. Entries are in its order.
    ///
    /// - Throws: `archive.truncated` without an end record, `archive.too_many_entries`, `archive.corrupt`.
    init(_ bytes: UnsafeRawBufferPointer, limits: ArchiveLimits, path: String) throws {
        self.bytes = bytes
        self.path = path
        maximumName = limits.nameBytes
        let record = try ZipDirectory.endRecord(bytes, path: path)
        start = record.offset
        guard record.entries <= limits.members else {
            throw Failure(
                .archiveTooManyEntries, "\(record.entries) members, the limit is \(limits.members)", path: path)
        }
        var offset = record.offset
        for _ in 0..<record.entries {
            let (entry, next) = try readEntry(at: offset, end: record.end)
            entries.append(entry)
            offset = next
        }
        guard offset == record.end else { throw corrupt("the directory does not end where its end record says") }
    }

    /// Bytes of the whole file.
    var byteCount: Int { bytes.count }

    /// Compares every entry with its local header, and finds entries that share bytes.
    ///
    /// - Throws: `archive.bomb` for shared bytes, `archive.corrupt` for a difference.
    mutating func checkLocalHeaders() throws {
        for i in entries.indices { entries[i].extent = try extent(of: entries[i]) }
        let order = entries.map(\.extent).sorted { $0.lowerBound < $1.lowerBound }
        for (a, b) in zip(order, order.dropFirst()) where b.lowerBound < a.upperBound {
            throw Failure(
                .archiveBomb, "two entries share the bytes at \(b.lowerBound)", path: path,
                hint: "such archives are made to fill disks")
        }
        for entry in entries { try compareLocalHeader(entry) }
    }

    // MARK: End record

    private struct EndRecord {
        var entries: Int
        var offset: Int
        var end: Int
    }

    private static func endRecord(_ bytes: UnsafeRawBufferPointer, path: String) throws -> EndRecord {
        let reader = LittleEndianReader(bytes)
        var offset = bytes.count - 22
        let lowest = max(0, bytes.count - 22 - 0xFFFF)
        while offset >= lowest,
            !(reader.u32(offset) == 0x0605_4B50 && reader.u16(offset + 20) == bytes.count - offset - 22)
        {
            offset -= 1
        }
        guard offset >= lowest else {
            throw Failure(
                .archiveTruncated, "the zip file has no directory at its end", path: path,
                hint: ArchiveHandle.hint(for: .archiveTruncated))
        }
        var record = EndRecord(
            entries: reader.u16(offset + 10) ?? 0, offset: reader.u32(offset + 16) ?? 0, end: offset)
        var size = reader.u32(offset + 12) ?? 0
        var isOneDisk = reader.u32(offset + 4) == 0 && reader.u16(offset + 8) == record.entries
        if reader.u32(offset - 20) == 0x0706_4B50, let long = reader.u64(offset - 12), reader.u32(long) == 0x0606_4B50 {
            guard let entries = reader.u64(long + 32), let longSize = reader.u64(long + 40),
                let start = reader.u64(long + 48)
            else { throw Failure(.archiveCorrupt, "the zip file's end record is damaged", path: path) }
            isOneDisk = reader.u32(long + 16) == 0 && reader.u32(long + 20) == 0 && reader.u64(long + 24) == entries
            size = longSize
            record = EndRecord(entries: entries, offset: start, end: long)
        }
        guard isOneDisk, record.offset <= record.end, record.end - record.offset == size else {
            throw Failure(.archiveCorrupt, "the zip file's end record does not fit its directory", path: path)
        }
        return record
    }

    // MARK: Entries

    private func readEntry(at offset: Int, end: Int) throws -> (Entry, next: Int) {
        let reader = LittleEndianReader(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        guard reader.u32(offset) == 0x0201_4B50, let madeBy = reader.u16(offset + 4),
            let flags = reader.u16(offset + 8), let method = reader.u16(offset + 10), let crc = reader.u32(offset + 16),
            let packed = reader.u32(offset + 20), let size = reader.u32(offset + 24),
            let nameLength = reader.u16(offset + 28), let extraLength = reader.u16(offset + 30),
            let commentLength = reader.u16(offset + 32), let attributes = reader.u32(offset + 38),
            let local = reader.u32(offset + 42)
        else { throw corrupt("the directory is damaged at byte \(offset)") }
        let nameStart = offset + 46
        let extraStart = nameStart + nameLength
        let next = extraStart + extraLength + commentLength
        guard next <= end else { throw corrupt("the directory is damaged at byte \(offset)") }
        var fields = [size, packed, local]
        try widen(&fields, extra: extraStart..<extraStart + extraLength)
        let entry = Entry(
            // One byte beyond the limit is enough to see that the name is too long.
            name: Array(bytes[nameStart..<min(extraStart, nameStart + maximumName + 1)]), flags: flags, method: method,
            crc: UInt32(crc),
            packedSize: fields[1], size: fields[0], localOffset: fields[2],
            unixMode: madeBy >> 8 == 3 ? attributes >> 16 : 0)
        return (entry, next)
    }

    /// Replaces fields that are all ones by their 64-bit values from the extra field 0x0001, in order.
    private func widen(_ fields: inout [Int], extra: Range<Int>) throws {
        guard fields.contains(0xFFFF_FFFF) else { return }
        let reader = LittleEndianReader(UnsafeRawBufferPointer(rebasing: bytes[..<extra.upperBound]))
        var offset = extra.lowerBound
        while let tag = reader.u16(offset), let length = reader.u16(offset + 2), offset + 4 + length <= extra.upperBound
        {
            if tag == 1 {
                var place = offset + 4
                for i in fields.indices where fields[i] == 0xFFFF_FFFF {
                    guard place + 8 <= offset + 4 + length, let value = reader.u64(place) else {
                        throw corrupt("a 64-bit size is missing")
                    }
                    fields[i] = value
                    place += 8
                }
                return
            }
            offset += 4 + length
        }
    }

    // MARK: Local headers

    private func extent(of entry: Entry) throws -> Range<Int> {
        let reader = LittleEndianReader(UnsafeRawBufferPointer(rebasing: bytes[..<start]))
        let offset = entry.localOffset
        guard reader.u32(offset) == 0x0403_4B50, let nameLength = reader.u16(offset + 26),
            let extraLength = reader.u16(offset + 28)
        else { throw corrupt("an entry has no header", entry) }
        let dataStart = offset + 30 + nameLength + extraLength
        guard dataStart <= start, entry.packedSize <= start - dataStart else {
            throw corrupt("an entry reaches into the directory", entry)
        }
        return offset..<dataStart + entry.packedSize
    }

    private func compareLocalHeader(_ entry: Entry) throws {
        let reader = LittleEndianReader(UnsafeRawBufferPointer(rebasing: bytes[..<start]))
        let offset = entry.localOffset
        guard let flags = reader.u16(offset + 6), let method = reader.u16(offset + 8),
            let crc = reader.u32(offset + 14),
            let packed = reader.u32(offset + 18), let size = reader.u32(offset + 22),
            let nameLength = reader.u16(offset + 26), let extraLength = reader.u16(offset + 28)
        else { throw corrupt("an entry has no header", entry) }
        let nameStart = offset + 30
        guard bytes[nameStart..<nameStart + nameLength].elementsEqual(entry.name) else {
            throw corrupt("the name before the content differs from the one in the directory", entry)
        }
        guard method == entry.method, flags & 0x9 == entry.flags & 0x9 else {
            throw corrupt("the method before the content differs from the one in the directory", entry)
        }
        var fields = [size, packed]
        let extraStart = nameStart + nameLength
        try widen(&fields, extra: extraStart..<extraStart + extraLength)
        // With flag bit 3 the sizes follow the content, and zeros stand here.
        let areDeferred = flags & 8 != 0 && crc == 0 && size == 0 && packed == 0
        let areWideDeferred = flags & 8 != 0 && crc == 0 && fields == [0, 0]
        guard areDeferred || areWideDeferred || (UInt32(crc) == entry.crc && fields == [entry.size, entry.packedSize])
        else {
            throw corrupt("the sizes before the content differ from those in the directory", entry)
        }
    }

    private func corrupt(_ message: String, _ entry: Entry? = nil) -> Failure {
        Failure(
            .archiveCorrupt, message, path: path,
            place: entry.map { String(decoding: $0.name.prefix(1024), as: UTF8.self) },
            hint: ArchiveHandle.hint(for: .archiveCorrupt))
    }
}

/// Unsigned little-endian numbers at offsets; nil outside the bytes, and for values that no file offset can have.
struct LittleEndianReader {
    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func u16(_ offset: Int) -> Int? { load(offset, UInt16.self) }
    func u32(_ offset: Int) -> Int? { load(offset, UInt32.self) }
    func u64(_ offset: Int) -> Int? { load(offset, UInt64.self) }

    private func load<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: Number.Type) -> Int? {
        let size = MemoryLayout<Number>.size
        guard offset >= 0, bytes.count >= size, offset <= bytes.count - size else { return nil }
        return Int(exactly: Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type)))
    }
}
