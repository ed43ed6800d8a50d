import Foundation

@testable import WeightFiles

/// Builds tar files by hand, right ones and hostile ones.
enum TarBytes {
    struct Member {
        var name: [UInt8]
        var data: [UInt8]
        var type: UInt8 = UInt8(ascii: "0")
        var mode = 0o644
        var link = ""
        /// The size in the header when it is not that of the data.
        var claimedSize: Int?

        init(_ name: String, _ data: [UInt8] = [], type: Character = "0", mode: Int = 0o644, link: String = "") {
            self.init(Array(name.utf8), data, type: type, mode: mode, link: link)
        }

        init(_ name: [UInt8], _ data: [UInt8] = [], type: Character = "0", mode: Int = 0o644, link: String = "") {
            self.name = name
            self.data = data
            self.type = type.asciiValue ?? 0
            self.mode = mode
            self.link = link
        }
    }

    static func header(_ member: Member) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: some Collection<UInt8>, at offset: Int) {
            block.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
        func octal(_ value: Int, _ digits: Int) -> [UInt8] {
            let text = String(value, radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
        }
        put(member.name.prefix(100), at: 0)
        put(octal(member.mode, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        let size = member.claimedSize ?? member.data.count
        if size > 0o77_777_777_777 {
            // The binary form for sizes beyond eleven octal digits.
            put([0x80, 0, 0, 0] + withUnsafeBytes(of: UInt64(size).bigEndian) { Array($0) }, at: 124)
        } else {
            put(octal(size, 11), at: 124)
        }
        put(octal(0, 11), at: 136)
        put(Array("        ".utf8), at: 148)
        block[156] = member.type
        put(Array(member.link.utf8), at: 157)
        put(Array("ustar\u{0}00".utf8), at: 257)
        put(octal(block.reduce(0) { $0 + Int($1) }, 6) + [0, 0x20], at: 148)
        return block
    }

    static func archive(_ members: [Member], end: Int = 1024) -> [UInt8] {
        members.flatMap { header($0) + $0.data + [UInt8](repeating: 0, count: (512 - $0.data.count % 512) % 512) }
            + [UInt8](repeating: 0, count: end)
    }

    /// A PAX header that gives the next member another name or another attribute.
    static func pax(_ records: [(String, String)]) -> Member {
        let body = records.flatMap { key, value -> [UInt8] in
            let rest = " \(key)=\(value)\n".utf8.count
            var length = rest + 1
            while "\(length)".utf8.count + rest != length { length = "\(length)".utf8.count + rest }
            return Array("\(length) \(key)=\(value)\n".utf8)
        }
        return Member("PaxHeader", body, type: "x")
    }
}

/// gzip files by hand: stored blocks, and runs in the fixed code.
enum GzipBytes {
    static let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]

    static func trailer(_ data: [UInt8]) -> [UInt8] {
        var crc = CRC32()
        data.withUnsafeBytes { crc.update($0) }
        return number(crc.value) + number(UInt32(truncatingIfNeeded: data.count))
    }

    /// One member, not compressed.
    static func stored(_ data: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        var start = 0
        repeat {
            let count = min(65_535, data.count - start)
            let isLast: UInt8 = start + count == data.count ? 1 : 0
            body += [isLast, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8 & 255)]
            body += data[start..<start + count]
            start += count
        } while start < data.count
        return header + body + trailer(data)
    }

    /// `data`, stored, then `runs` times 258 further zeros: 13 bits each, a ratio of 158.
    static func storedThenZeros(_ data: [UInt8], runs: Int) -> [UInt8] {
        var bits = BitWriter(bytes: header + [0, UInt8(data.count & 255), UInt8(data.count >> 8)])
        bits.bytes += [UInt8(~data.count & 255), UInt8(~data.count >> 8 & 255)] + data
        bits.put(0b011, 3)
        bits.putReversed(0x30, 8)
        for _ in 0..<runs {
            bits.putReversed(0b1100_0101, 8)
            bits.put(0, 5)
        }
        bits.put(0, 7)
        return bits.finish() + trailer(data + [UInt8](repeating: 0, count: 1 + 258 * runs))
    }

    private static func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    private struct BitWriter {
        var bytes: [UInt8]
        private var pending: UInt32 = 0
        private var count = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func put(_ value: UInt32, _ width: Int) {
            pending |= value << UInt32(count)
            count += width
            while count >= 8 {
                bytes.append(UInt8(pending & 255))
                pending >>= 8
                count -= 8
            }
        }

        /// Huffman codes go in from their highest bit.
        mutating func putReversed(_ value: UInt32, _ width: Int) {
            for bit in (0..<width).reversed() { put(value >> UInt32(bit) & 1, 1) }
        }

        mutating func finish() -> [UInt8] {
            if count > 0 { bytes.append(UInt8(pending & 255)) }
            return bytes
        }
    }
}

/// zip files by hand, stored entries only.
enum ZipBytes {
    struct Entry {
        var name: [UInt8]
        var data: [UInt8]
        var flags = 0
        var method = 0
        var mode = 0o100644
        /// Name in the local header when it differs.
        var localName: [UInt8]?
        /// Size in the local header when it differs.
        var localSize: Int?
        /// Size in the directory when it differs.
        var size: Int?
        /// CRC in both places when it is wrong.
        var crc: UInt32?
        /// Points to the header of this entry instead of its own.
        var sharesEntry: Int?

        init(_ name: String, _ data: [UInt8] = []) {
            self.name = Array(name.utf8)
            self.data = data
        }

        func with(_ change: (inout Entry) -> Void) -> Entry {
            var copy = self
            change(&copy)
            return copy
        }
    }

    static func archive(_ entries: [Entry], comment: [UInt8] = []) -> [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        var offsets: [Int] = []
        for entry in entries {
            offsets.append(entry.sharesEntry.map { offsets[$0] } ?? file.count)
            let crc = entry.crc ?? checksum(entry.data)
            let size = entry.size ?? entry.data.count
            if entry.sharesEntry == nil {
                let name = entry.localName ?? entry.name
                file +=
                    u32(0x0403_4B50) + u16(20) + u16(entry.flags) + u16(entry.method) + u32(0x21 << 16) + u32(Int(crc))
                file +=
                    u32(entry.data.count) + u32(entry.localSize ?? size) + u16(name.count) + u16(0) + name + entry.data
            }
            directory += u32(0x0201_4B50) + u16(3 << 8 | 20) + u16(20) + u16(entry.flags) + u16(entry.method)
            directory += u32(0x21 << 16) + u32(Int(crc)) + u32(entry.data.count) + u32(size) + u16(entry.name.count)
            directory +=
                u16(0) + u16(0) + u16(0) + u16(0) + u32(entry.mode << 16) + u32(offsets[offsets.count - 1]) + entry.name
        }
        let end = u32(0x0605_4B50) + u16(0) + u16(0) + u16(entries.count) + u16(entries.count)
        return file + directory + end + u32(directory.count) + u32(file.count) + u16(comment.count) + comment
    }

    private static func checksum(_ data: [UInt8]) -> UInt32 {
        var crc = CRC32()
        data.withUnsafeBytes { crc.update($0) }
        return crc.value
    }

    private static func u16(_ value: Int) -> [UInt8] { [UInt8(value & 255), UInt8(value >> 8 & 255)] }
    private static func u32(_ value: Int) -> [UInt8] { u16(value & 0xFFFF) + u16(value >> 16 & 0xFFFF) }
}
