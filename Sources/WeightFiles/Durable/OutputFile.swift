import CArchive
import Foundation
import Synchronization
import Tensors

/// An open file of a large result, written in pieces at offsets from any thread.
///
/// A large result is written once and not read again soon. Copying it into the page cache costs about as much as
/// merging does, pushes other files out of memory and leaves the disk's work to the `fsync` at the end. Whole blocks
/// therefore go to the disk directly (`O_DIRECT`), while other threads compute: as they are where they lie in memory as in
/// the file, modulo a block, else by way of a buffer of the thread. The rest goes through the page cache, and so does
/// everything on file systems that know no other way; there the disk is told to begin at once.
final class OutputFile: Sendable {
    /// Bytes of a block: offset, length and address of a direct write are multiples of it.
    static let block = 4096
    /// Shorter pieces gain nothing.
    private static let smallestPiece = 1 << 17
    private static let smallestFile = 32 << 20
    /// Bytes that are copied to where they can be written from at a time.
    private static let copied = 1 << 20

    let descriptor: Int32
    /// The same file for direct writes; −1 where there are none.
    private let directDescriptor: Int32
    private let isDirect: Atomic<Bool>
    private let isLarge: Bool

    /// Takes `descriptor` over and closes it in the end.
    ///
    /// - Parameter size: of the whole file; small ones stay in the page cache.
    init(_ descriptor: Int32, size: Int) {
        self.descriptor = descriptor
        isLarge = size >= OutputFile.smallestFile
        // Through the descriptor and not the path: certainly the same file.
        directDescriptor =
            isLarge
            ? open("/proc/self/fd/\(descriptor)", O_WRONLY | O_CLOEXEC | Int32(durable_o_direct)) : -1
        isDirect = Atomic(directDescriptor >= 0)
    }

    deinit {
        close(descriptor)
        if directDescriptor >= 0 { close(directDescriptor) }
    }

    /// Writes all of `bytes`.
    ///
    /// - Returns: 0, or the error as in `errno`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        guard let blocks = blocks(of: bytes, at: offset) else { return writeThroughCache(bytes, at: offset) }
        let error = writeDirectly(part(bytes, blocks), at: offset + blocks.lowerBound)
        if error == EINVAL {
            // The file system wants larger blocks, or cannot after all.
            isDirect.store(false, ordering: .relaxed)
            return writeThroughCache(bytes, at: offset)
        }
        guard error == 0 else { return error }
        let before = write(part(bytes, 0..<blocks.lowerBound), at: offset, to: descriptor)
        guard before == 0 else { return before }
        return write(part(bytes, blocks.upperBound..<bytes.count), at: offset + blocks.upperBound, to: descriptor)
    }

    /// Whole blocks.
    private func writeDirectly(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        let block = OutputFile.block
        if Int(bitPattern: bytes.baseAddress) % block == 0 { return write(bytes, at: offset, to: directDescriptor) }
        var error: Int32 = 0
        ThreadRoom.with(bytes: OutputFile.copied + block) { room in
            let aligned = room.alignedUp(toMultipleOf: block)
            var start = 0
            while start < bytes.count, error == 0 {
                let count = min(OutputFile.copied, bytes.count - start)
                let target = UnsafeMutableRawBufferPointer(start: aligned, count: count)
                target.copyMemory(from: part(bytes, start..<start + count))
                error = write(UnsafeRawBufferPointer(target), at: offset + start, to: directDescriptor)
                start += count
            }
        }
        return error
    }

    private func writeThroughCache(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        let error = write(bytes, at: offset, to: descriptor)
        // Only a hint: what it cannot begin, the synchronisation at the end does.
        if error == 0, isLarge, bytes.count >= OutputFile.smallestPiece {
            _ = sync_file_range(descriptor, off_t(offset), off_t(bytes.count), UInt32(durable_range_write))
        }
        return error
    }

    /// The whole blocks among the bytes; nil when there are none, or direct writes do not pay or are not possible.
    private func blocks(of bytes: UnsafeRawBufferPointer, at offset: Int) -> Range<Int>? {
        let mask = OutputFile.block - 1
        guard bytes.count >= OutputFile.smallestPiece, isDirect.load(ordering: .relaxed) else { return nil }
        let lower = -offset & mask
        return lower..<lower + (bytes.count - lower) & ~mask
    }

    private func part(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, to descriptor: Int32) -> Int32 {
        guard let base = bytes.baseAddress else { return 0 }
        var done = 0
        while done < bytes.count {
            let fails = FaultPoint.failsWrite()
            let count =
                fails ? -1 : pwrite(descriptor, base + done, min(bytes.count - done, 1 << 30), off_t(offset + done))
            if count <= 0 {
                let error = fails || count == 0 ? ENOSPC : errno
                if error == EINTR { continue }
                return error
            }
            FaultPoint.pass("pwrite")
            done += count
        }
        return 0
    }
}
