import CVector

/// What becomes of memory that a computation gives back.
public enum FreedMemory {
    /// Keeps freed memory in the process, for the next module of the same shapes, instead of giving it back and having
    /// every page of it cleared anew: a tenth to a fifth of the time of a merge. Peaks do not change. For programs, at
    /// their start.
    public static func keep() { cvector_keep_freed_memory(largestBlock, total) }

    /// The most that the C library keeps of one block.
    private static let largestBlock: Int32 = 32 << 20
    private static let total: Int32 = 512 << 20
}
