import Diagnostics
import Foundation
import Synchronization

/// Keeps byte strings of unknown number until they are written out: in memory up to a limit, then in a temporary file
/// without a name. Safe to use from any thread.
final class Spool: Sendable {
    enum Handle: Sendable {
        case memory([UInt8])
        case file(offset: Int, count: Int)
    }

    private struct State {
        var memoryLeft: Int
        var descriptor: Int32 = -1
        var end = 0
    }

    private let folder: String
    private let state: Mutex<State>

    /// - Parameters:
    ///   - folder: where the temporary file goes when it is needed.
    ///   - memoryLimit: bytes that may stay in memory.
    init(folder: String, memoryLimit: Int) {
        self.folder = folder
        state = Mutex(State(memoryLeft: memoryLimit))
    }

    deinit {
        let descriptor = state.withLock { $0.descriptor }
        if descriptor >= 0 { close(descriptor) }
    }

    /// - Throws: `io.failed`, `io.no_space`.
    func store(_ pieces: [UnsafeRawBufferPointer]) throws -> Handle {
        let count = pieces.reduce(0) { $0 + $1.count }
        let place: (offset: Int, descriptor: Int32)? = try state.withLock { state in
            if state.memoryLeft >= count {
                state.memoryLeft -= count
                return nil
            }
            if state.descriptor < 0 { state.descriptor = try openFile() }
            defer { state.end += count }
            return (state.end, state.descriptor)
        }
        guard let place else {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count)
            for piece in pieces { bytes.append(contentsOf: piece) }
            return .memory(bytes)
        }
        var offset = place.offset
        for piece in pieces {
            try write(piece, to: place.descriptor, at: offset)
            offset += piece.count
        }
        return .file(offset: place.offset, count: count)
    }

    /// Stores two matrices one behind the other.
    func store<Element>(_ first: [Element], _ second: [Element]) throws -> Handle {
        try first.withUnsafeBytes { first in try second.withUnsafeBytes { try store([first, $0]) } }
    }

    /// Copies `target.count` bytes from position `offset` of what was stored.
    func read(_ handle: Handle, at offset: Int, into target: UnsafeMutableRawBufferPointer) throws {
        switch handle {
        case .memory(let bytes):
            bytes.withUnsafeBytes {
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + target.count]))
            }
        case .file(let start, _):
            let descriptor = state.withLock { $0.descriptor }
            var done = 0
            while done < target.count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
                let count = pread(descriptor, rest.baseAddress, rest.count, off_t(start + offset + done))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Failure(.ioFailed, "cannot read the temporary file back", path: folder) }
                done += count
            }
        }
    }

    func readArray<Element: BitwiseCopyable>(
        _ handle: Handle, at offset: Int, count: Int, of type: Element.Type
    ) throws -> [Element] {
        try [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
            try read(
                handle, at: offset,
                into: UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(count * MemoryLayout<Element>.stride)]))
            initialized = count
        }
    }

    private func openFile() throws -> Int32 {
        var template = Array("\(folder)/.lorabank-spool-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw Failure(
                .ioFailed, "cannot create a temporary file: \(String(cString: strerror(errno)))", path: folder)
        }
        unlink(template)
        return descriptor
    }

    private func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, min(rest.count, 1 << 30), off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code: ErrorCode = errno == ENOSPC ? .ioNoSpace : .ioFailed
                throw Failure(code, "cannot write a temporary file: \(String(cString: strerror(errno)))", path: folder)
            }
            done += count
        }
    }
}
