import CVector

/// Memory of the calling thread for what a kernel lays out anew in every call. Calls must not be nested.
public enum ThreadRoom {
    /// Larger rooms are not kept.
    private static let kept = 8 << 20

    /// Runs `body` with at least `bytes` bytes, aligned to 64, of arbitrary content.
    @inline(__always)
    public static func with(bytes: Int, _ body: (UnsafeMutableRawPointer) -> Void) {
        if bytes <= kept, let room = cvector_thread_room(bytes) { return body(room) }
        withUnsafeTemporaryAllocation(byteCount: max(64, bytes), alignment: 64) { memory in
            if let room = memory.baseAddress { body(room) }
        }
    }
}
