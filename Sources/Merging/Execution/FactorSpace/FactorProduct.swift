import LinearAlgebra
import Tensors

/// Products of the stored factors with small matrices, streamed chunk by chunk: B* = Bcat·X and A* = Y·Acat.
enum FactorProduct {
    /// Bcat · x, m×q row-major, for x [R, q]; computed in `S`, stored as `Float`.
    static func left<S: StackScalar>(
        _ stack: FactorStack, _ x: Matrix<S>, into target: UnsafeMutablePointer<Float>
    ) throws {
        let (rank, q) = (x.rows, x.columns)
        try scratch(S.self, FactorStack.chunk * (rank + q)) { chunk in
            let result = chunk + FactorStack.chunk * rank
            for start in stride(from: 0, to: stack.rows, by: FactorStack.chunk) {
                let range = start..<min(start + FactorStack.chunk, stack.rows)
                try stack.loadB(range, into: chunk)
                try multiply(chunk, range.count, rank, x, q, into: result)
                store(result, range.count * q, to: target + start * q)
            }
        }
    }

    /// y · Acat, q×n row-major, for y [q, R]; computed in `S`, stored as `Float`.
    static func right<S: StackScalar>(
        _ stack: FactorStack, _ y: Matrix<S>, into target: UnsafeMutablePointer<Float>
    ) throws {
        let (q, rank) = (y.rows, y.columns)
        try scratch(S.self, FactorStack.chunk * (rank + q)) { chunk in
            let result = chunk + FactorStack.chunk * rank
            for start in stride(from: 0, to: stack.columns, by: FactorStack.chunk) {
                let range = start..<min(start + FactorStack.chunk, stack.columns)
                try stack.loadA(range, into: chunk)
                try y.elements.withUnsafeBufferPointer { y in
                    guard let y = y.baseAddress else { return }
                    try multiply(y, q, rank, chunk, range.count, into: result)
                }
                for row in 0..<q {
                    store(result + row * range.count, range.count, to: target + row * stack.columns + start)
                }
            }
        }
    }

    private static func multiply<S: StackScalar>(
        _ a: UnsafePointer<S>, _ m: Int, _ k: Int, _ b: Matrix<S>, _ n: Int, into c: UnsafeMutablePointer<S>
    ) throws {
        try b.elements.withUnsafeBufferPointer { b in
            guard let b = b.baseAddress else { return }
            try multiply(a, m, k, b, n, into: c)
        }
    }

    /// a [m, k] · b [k, n] → c [m, n].
    private static func multiply<S: StackScalar>(
        _ a: UnsafePointer<S>, _ m: Int, _ k: Int, _ b: UnsafePointer<S>, _ n: Int, into c: UnsafeMutablePointer<S>
    ) throws {
        guard m > 0, n > 0, k > 0 else { return }
        let sizes = try (blasDimension(m), blasDimension(n), blasDimension(k))
        S.gemm(
            transposeA: false, transposeB: false, m: sizes.0, n: sizes.1, k: sizes.2, alpha: 1, a: a, lda: sizes.2,
            b: b, ldb: sizes.1, beta: 0, c: c, ldc: sizes.1)
    }

    private static func store<S: StackScalar>(
        _ source: UnsafePointer<S>, _ count: Int, to target: UnsafeMutablePointer<Float>
    ) {
        for i in 0..<count { target[i] = Float(source[i]) }
    }

    private static func scratch<S>(
        _ type: S.Type, _ count: Int, _ body: (UnsafeMutablePointer<S>) throws -> Void
    ) rethrows {
        try withUnsafeTemporaryAllocation(of: S.self, capacity: max(1, count)) { buffer in
            guard let base = buffer.baseAddress else { return }
            try body(base)
        }
    }
}
