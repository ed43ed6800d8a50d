/// Memory for activations that is used again in every step: taking is adding to a counter.
///
/// Chunks are never moved or freed before the arena ends, so that pointers stay valid until their part is released.
/// One arena belongs to one thread at a time.
final class Arena<S: NetworkScalar> {
    struct Mark {
        var chunk = 0
        var offset = 0
        /// Numbers taken so far.
        var used = 0
    }

    private var chunks: [UnsafeMutableBufferPointer<S>] = []
    private(set) var mark = Mark()
    /// The most numbers that were taken at one time.
    private(set) var peak = 0

    init() {}

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    /// Bytes that the arena holds.
    var capacity: Int { chunks.reduce(0) { $0 + $1.count } * MemoryLayout<S>.stride }

    /// Room for `count` numbers, aligned to 64 bytes, with arbitrary content.
    func take(_ count: Int) -> UnsafeMutablePointer<S> {
        let size = (count + 15) & ~15
        while mark.chunk < chunks.count {
            let chunk = chunks[mark.chunk]
            if let base = chunk.baseAddress, mark.offset + size <= chunk.count {
                defer { advance(to: mark.chunk, mark.offset + size, by: size) }
                return base + mark.offset
            }
            mark = Mark(chunk: mark.chunk + 1, offset: 0, used: mark.used)
        }
        let capacity = max(size, 1 << 18, (chunks.last?.count ?? 0) * 2)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity * MemoryLayout<S>.stride, alignment: 64)
        let base = memory.bindMemory(to: S.self, capacity: capacity)
        chunks.append(UnsafeMutableBufferPointer(start: base, count: capacity))
        advance(to: chunks.count - 1, size, by: size)
        return base
    }

    private func advance(to chunk: Int, _ offset: Int, by size: Int) {
        mark = Mark(chunk: chunk, offset: offset, used: mark.used + size)
        peak = max(peak, mark.used)
    }

    /// Room for `count` zeros.
    func takeZeros(_ count: Int) -> UnsafeMutablePointer<S> {
        let p = take(count)
        p.update(repeating: 0, count: count)
        return p
    }

    /// Gives back everything taken since `mark`.
    func release(to mark: Mark) { self.mark = mark }

    /// Gives back everything.
    func releaseAll() { mark = Mark() }
}

/// The two arenas of one block of samples: what backward will read, and what one layer needs while it runs.
final class Workspace<S: NetworkScalar> {
    let tape = Arena<S>()
    let scratch = Arena<S>()

    func releaseAll() {
        tape.releaseAll()
        scratch.releaseAll()
    }
}
