/// Memory for activations that is used again in every step: taking is adding to a counter.
///
/// Chunks are never moved or freed before the arena ends, so that pointers stay valid until their part is released.
/// One arena belongs to one thread at a time.
final class Arena<S: NetworkScalar> {
    struct Mark {
        var chunk = 0
        var offset = 0
    }

    private var chunks: [UnsafeMutableBufferPointer<S>] = []
    private(set) var mark = Mark()

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
                defer { mark.offset += size }
                return base + mark.offset
            }
            mark = Mark(chunk: mark.chunk + 1, offset: 0)
        }
        let capacity = max(size, 1 << 18, (chunks.last?.count ?? 0) * 2)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity * MemoryLayout<S>.stride, alignment: 64)
        let base = memory.bindMemory(to: S.self, capacity: capacity)
        chunks.append(UnsafeMutableBufferPointer(start: base, count: capacity))
        mark = Mark(chunk: chunks.count - 1, offset: size)
        return base
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
