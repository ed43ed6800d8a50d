import Foundation
import Testing

@testable import WeightFiles

/// Pieces of large results that go past the page cache.
@Suite struct OutputFileTests {
    @Test func `pieces of any place and length give the bytes that were meant`() throws {
        let scratch = try Scratch()
        let size = 33 << 20
        let path = scratch("large")
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        #expect(descriptor >= 0 && ftruncate(descriptor, off_t(size)) == 0)
        let file = OutputFile(descriptor, size: size)
        let block = OutputFile.block
        var wanted = [UInt8](repeating: 0, count: size)
        wanted.withUnsafeMutableBytes { bytes in
            // A number every 512 bytes: no block and no piece looks like another.
            for place in stride(from: 0, to: size, by: 512) {
                bytes.storeBytes(
                    of: UInt64(place) &* 0x9E37_79B9_7F4A_7C15, toByteOffset: place + place / 512 % 500, as: UInt64.self
                )
            }
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 5 << 20, alignment: block)
        defer { buffer.deallocate() }
        var offset = 0
        for length in [1000, 3 << 20, 4096, 200_000, 1 << 20, (1 << 20) + 1, 7, 4 << 20, size] {
            let count = min(length, size - offset, buffer.count - block)
            // In memory as in the file, so that whole blocks can be written as they are.
            let start = offset % block
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + count])
            wanted.withUnsafeBytes {
                part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
            }
            #expect(file.write(UnsafeRawBufferPointer(part), at: offset) == 0)
            offset += count
        }
        // The rest lies in memory otherwise than in the file, and is copied on its way.
        #expect(offset + (1 << 20) < size)
        wanted.withUnsafeBytes { bytes in
            #expect(file.write(UnsafeRawBufferPointer(rebasing: bytes[offset...]), at: offset) == 0)
        }
        let found = try Data(contentsOf: URL(filePath: path))
        #expect(found == Data(wanted))
    }

    @Test func `what cannot be written is an error`() throws {
        let scratch = try Scratch()
        let path = scratch("read-only")
        try Data([1]).write(to: URL(filePath: path))
        let file = OutputFile(open(path, O_RDONLY | O_CLOEXEC), size: 1)
        #expect([UInt8](repeating: 2, count: 9).withUnsafeBytes { file.write($0, at: 0) } == EBADF)
        #expect(try Data(contentsOf: URL(filePath: path)) == Data([1]))
    }
}
