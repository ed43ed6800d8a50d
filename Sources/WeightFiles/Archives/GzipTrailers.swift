import Foundation

/// Compares what came out of a gzip file with the CRC-32 and length that the file states: libarchive 3.6 skips both.
///
/// A gzip file may hold several members one after another; where one ends can only be seen while inflating. So every
/// place that looks like the beginning of a further member is a candidate, with the eight bytes before it as the
/// trailer of the member before; the candidate counts when length and checksum of the output agree with that trailer.
struct GzipTrailers {
    private struct Trailer {
        var crc: UInt32
        /// Length of the member's output modulo 2^32.
        var size: UInt32
    }

    /// Trailers of members that another may follow, in the order of the file.
    private var candidates: [Trailer] = []
    private let last: Trailer?
    private var cursor = 0
    private var crc = CRC32()
    /// Output of the current member so far.
    private var length = 0
    /// The largest `length` at which candidates were compared.
    private var compared = -1

    /// Candidates that are compared at a time. Chance beginnings are rare: one in 16 MiB of compressed bytes.
    private static let window = 64

    init(_ content: MappedBytes) {
        let file = content.bytes
        last = file.count >= 18 ? GzipTrailers.trailer(endingAt: file.count, in: file) : nil
        guard let base = file.baseAddress else { return }
        var i = 18
        var released = 0
        while i &+ 10 < file.count, let hit = memchr(base + i, 0x1F, file.count &- i &- 10) {
            let start = UnsafeRawPointer(hit) - base
            if file[start &+ 1] == 0x8B, file[start &+ 2] == 8, file[start &+ 3] & 0xE0 == 0 {
                let trailer = GzipTrailers.trailer(endingAt: start, in: file)
                // That of an empty member agrees anywhere, and leaving it out changes nothing.
                if trailer.size != 0 || trailer.crc != 0 { candidates.append(trailer) }
            }
            i = start &+ 1
            if i - released > 8 << 20 {
                content.release(released..<i)
                released = i
            }
        }
    }

    /// Takes the next piece of the whole output.
    mutating func update(_ block: UnsafeRawBufferPointer) {
        var start = 0
        while let boundary = nextBoundary(within: block.count - start) {
            advance(UnsafeRawBufferPointer(rebasing: block[start..<start + boundary - length]), &start)
            compared = length
            if let hit = upcoming.first(where: { matches(candidates[$0]) }) {
                cursor = hit + 1
                crc = CRC32()
                length = 0
                compared = -1
            }
        }
        advance(UnsafeRawBufferPointer(rebasing: block[start...]), &start)
    }

    /// True when the last member's trailer agrees with the output.
    var agrees: Bool { last.map(matches) ?? false }

    private var upcoming: Range<Int> { cursor..<min(cursor + GzipTrailers.window, candidates.count) }

    private mutating func advance(_ bytes: UnsafeRawBufferPointer, _ start: inout Int) {
        crc.update(bytes)
        length += bytes.count
        start += bytes.count
    }

    /// The smallest length not yet compared, at most `room` further on, that a candidate names.
    private func nextBoundary(within room: Int) -> Int? {
        let from = max(compared + 1, length)
        var nearest: Int?
        for candidate in upcoming {
            let distance = Int(candidates[candidate].size &- UInt32(truncatingIfNeeded: from))
            if from + distance - length <= room, distance < nearest.map({ $0 - from }) ?? .max {
                nearest = from + distance
            }
        }
        return nearest
    }

    private func matches(_ trailer: Trailer) -> Bool {
        trailer.size == UInt32(truncatingIfNeeded: length) && trailer.crc == crc.value
    }

    private static func trailer(endingAt end: Int, in file: UnsafeRawBufferPointer) -> Trailer {
        Trailer(
            crc: UInt32(littleEndian: file.loadUnaligned(fromByteOffset: end - 8, as: UInt32.self)),
            size: UInt32(littleEndian: file.loadUnaligned(fromByteOffset: end - 4, as: UInt32.self)))
    }
}
