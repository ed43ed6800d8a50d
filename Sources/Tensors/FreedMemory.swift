import CVector
import Glibc

/// What the allocator does with large buffers that are given back.
public enum FreedMemory {
    /// Keeps freed buffers of up to 32 MiB for the next module instead of returning their pages to the kernel, which
    /// would hand them out again zeroed, one page fault per 4 KiB. The peak of a process stays what it was.
    ///
    /// Call once before the first buffer; a user's own `MALLOC_…_THRESHOLD_` settings win.
    public static func keep() {
        guard getenv("MALLOC_MMAP_THRESHOLD_") == nil, getenv("MALLOC_TRIM_THRESHOLD_") == nil else { return }
        cvector_keep_freed_memory(32 << 20, 256 << 20)
    }
}
