import Diagnostics
import Digests
import Synchronization
import Tensors

/// Writes one safetensors file: declared first, filled piece by piece, visible only when complete.
///
/// ```swift
/// let layout = try SafetensorsLayout([TensorDeclaration("w", .f32, [4, 4])], metadata: ["format": "pt"])
/// let writer = try SafetensorsWriter(path: "out.safetensors", layout: layout)
/// try writer.write(bytes, to: 0)
/// try writer.commit()
/// ```
/// Tensors may be written in any order, in pieces, and from several threads at once; every byte must be written
/// exactly once. Without `commit` nothing remains.
public final class SafetensorsWriter: Sendable {
    public let layout: SafetensorsLayout
    private let file: AtomicFile
    /// Bytes written so far of each tensor.
    private let written: Mutex<[Int]>

    /// Creates the temporary file and writes the header.
    ///
    /// - Parameter bypassingCache: for a large file that is not read again at once (see `AtomicFile`).
    /// - Throws: `output.exists`, `io.no_space` (with the bytes needed and free), `io.*`.
    public init(
        path: String, layout: SafetensorsLayout, overwrite: Bool = false, bypassingCache: Bool = false
    ) throws {
        self.layout = layout
        file = try AtomicFile(
            path: path, overwrite: overwrite, expectedSize: layout.fileSize, bypassingCache: bypassingCache)
        written = Mutex([Int](repeating: 0, count: layout.entries.count))
        try file.append(layout.header)
    }

    /// Writes a piece of a tensor.
    ///
    /// - Parameters:
    ///   - tensor: position in `layout.entries`.
    ///   - byteOffset: where in the tensor the piece begins.
    public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Int, at byteOffset: Int = 0) throws {
        let entry = layout.entries[tensor]
        guard byteOffset >= 0, byteOffset <= entry.range.count, bytes.count <= entry.range.count - byteOffset else {
            throw Failure(
                .internalDefect, "\(bytes.count) bytes at \(byteOffset) do not fit into \(entry.range.count)",
                path: file.path, place: entry.name)
        }
        try file.write(bytes, at: entry.range.lowerBound + byteOffset)
        written.withLock { $0[tensor] += bytes.count }
    }

    /// Writes a whole tensor or a piece of it by name.
    public func write(_ bytes: UnsafeRawBufferPointer, toTensor name: String, at byteOffset: Int = 0) throws {
        guard let position = layout.position(of: name) else {
            throw Failure(.internalDefect, "the tensor was not declared", path: file.path, place: name)
        }
        try write(bytes, to: position, at: byteOffset)
    }

    /// Makes the file visible.
    public func commit() throws {
        try checkComplete()
        try file.commit()
    }

    /// Makes the file visible and gives the SHA-256 of its bytes.
    public func commitWithDigest() throws -> SHA256Digest {
        try checkComplete()
        let digest = try file.digest()
        try file.commit()
        return digest
    }

    /// Gives the file up.
    public func abandon() { file.abandon() }

    /// Writes a file of tensors that are all at hand.
    ///
    /// - Returns: the SHA-256 of the file.
    @discardableResult
    public static func write(
        _ tensors: [TensorView], metadata: [String: String] = [:], to path: String, overwrite: Bool = false
    ) throws -> SHA256Digest {
        let layout = try SafetensorsLayout(tensors.map { TensorDeclaration($0) }, metadata: metadata)
        let writer = try SafetensorsWriter(path: path, layout: layout, overwrite: overwrite)
        for tensor in tensors { try writer.write(tensor.bytes, toTensor: tensor.name) }
        return try writer.commitWithDigest()
    }

    private func checkComplete() throws {
        let counts = written.withLock { $0 }
        for (entry, count) in zip(layout.entries, counts) where count != entry.range.count {
            throw Failure(
                .internalDefect, "\(count) of \(entry.range.count) bytes were written", path: file.path,
                place: entry.name)
        }
    }
}
