/// Multi-head attention core: c = softmax(q·kᵀ/√dh + mask)·v per sample and head.
///
/// q, k, v stand side by side in rows of (heads + 2·keyHeads)·headWidth numbers; head h reads key head ⌊h/g⌋ with
/// g = heads / keyHeads. Samples are handled one by one, so that none depends on its neighbours.
struct Attention<S: NetworkScalar>: Sendable {
    let heads: Int
    let keyHeads: Int
    let headWidth: Int
    /// Keys after the query are masked.
    var causal = false
    /// With a window w, keys w and more positions before the query are masked as well.
    var window: Int?

    var rowWidth: Int { (heads + 2 * keyHeads) * headWidth }
    var outputWidth: Int { heads * headWidth }
    private var keyOffset: Int { heads * headWidth }
    private var valueOffset: Int { (heads + keyHeads) * headWidth }
    private var group: Int { heads / keyHeads }
    private var scale: S { 1 / S(headWidth).squareRoot() }

    /// Row stride of probabilities: a multiple of the lane count, so that kernels need no tails.
    static func stride(_ length: Int) -> Int { (length + laneCount - 1) & ~(laneCount - 1) }

    /// Probabilities are kept when they are smaller than q and k together, else computed again in backward.
    func keepsProbabilities(length: Int) -> Bool { heads * length < 2 * heads * headWidth }

    /// Numbers to keep for a sample of this length.
    func keptCount(length: Int) -> Int { keepsProbabilities(length: length) ? heads * length * Self.stride(length) : 0 }

    /// c := attention of the rows of one sample.
    ///
    /// - Parameter kept: room for `keptCount(length:)` probabilities when backward will run.
    func forward(
        length: Int, _ qkv: UnsafePointer<S>, into c: UnsafeMutablePointer<S>, kept: UnsafeMutablePointer<S>?,
        scratch: Arena<S>
    ) {
        let stride = Self.stride(length)
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        let keeps = kept != nil && keepsProbabilities(length: length)
        let shared = keeps ? nil : scratch.take(length * stride)
        for head in 0..<heads {
            guard let p = shared ?? kept.map({ $0 + head * length * stride }) else { return }
            probabilities(length: length, qkv, head: head, into: p, stride: stride)
            S.multiply(
                m: length, n: headWidth, k: length, a: p, lda: stride,
                b: qkv + valueOffset + head / group * headWidth, ldb: rowWidth, c: c + head * headWidth,
                ldc: outputWidth)
        }
    }

    private func probabilities(
        length: Int, _ qkv: UnsafePointer<S>, head: Int, into p: UnsafeMutablePointer<S>, stride: Int
    ) {
        S.multiply(
            transposeB: true, m: length, n: length, k: headWidth, alpha: scale, a: qkv + head * headWidth,
            lda: rowWidth, b: qkv + keyOffset + head / group * headWidth, ldb: rowWidth, c: p, ldc: stride)
        softmaxRows(length: length, stride: stride, causal: causal, window: window ?? length, p)
    }

    /// Gradients of the rows of one sample: dP = dc·vᵀ, dv = Pᵀ·dc, dS = P⊙(dP − rowsum(dP⊙P))/√dh, dq = dS·k,
    /// dk = dSᵀ·q; dk and dv are summed over the heads that share a key head.
    func backward(
        length: Int, _ qkv: UnsafePointer<S>, dc: UnsafePointer<S>, kept: UnsafePointer<S>?,
        dqkv: UnsafeMutablePointer<S>, scratch: Arena<S>
    ) {
        let stride = Self.stride(length)
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        let slope = scratch.take(length * stride)
        let again = scratch.take(length * stride)
        for head in 0..<heads {
            let keyHead = head / group * headWidth
            let p: UnsafePointer<S>
            if let kept, keepsProbabilities(length: length) {
                p = kept + head * length * stride
            } else {
                probabilities(length: length, qkv, head: head, into: again, stride: stride)
                p = UnsafePointer(again)
            }
            let dHead = dc + head * headWidth
            let adds = head % group != 0
            S.multiply(
                transposeB: true, m: length, n: length, k: headWidth, a: dHead, lda: outputWidth,
                b: qkv + valueOffset + keyHead, ldb: rowWidth, c: slope, ldc: stride)
            S.multiply(
                transposeA: true, m: length, n: headWidth, k: length, a: p, lda: stride, b: dHead, ldb: outputWidth,
                accumulate: adds, c: dqkv + valueOffset + keyHead, ldc: rowWidth)
            softmaxRowsBackward(length: length, stride: stride, scale: scale, p, slope)
            S.multiply(
                m: length, n: headWidth, k: length, a: slope, lda: stride, b: qkv + keyOffset + keyHead, ldb: rowWidth,
                c: dqkv + head * headWidth, ldc: rowWidth)
            S.multiply(
                transposeA: true, m: length, n: headWidth, k: length, a: slope, lda: stride,
                b: qkv + head * headWidth, ldb: rowWidth, accumulate: adds, c: dqkv + keyOffset + keyHead, ldc: rowWidth
            )
        }
    }

    /// Attention of one new row over cached keys and values [positions, keyHeads·headWidth], its own included.
    func step(
        position: Int, _ q: UnsafePointer<S>, keys: UnsafePointer<S>, values: UnsafePointer<S>,
        into c: UnsafeMutablePointer<S>, scratch: Arena<S>
    ) {
        let first = max(0, position + 1 - (window ?? Int.max / 2))
        let count = position + 1 - first
        let width = keyHeads * headWidth
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        let p = scratch.take(Self.stride(count))
        for head in 0..<heads {
            let column = head / group * headWidth
            for j in 0..<count {
                p[j] = scale * dotProduct(headWidth, q + head * headWidth, keys + (first + j) * width + column)
            }
            softmaxRow(count: count, stride: Self.stride(count), p)
            let target = c + head * headWidth
            target.update(repeating: 0, count: headWidth)
            for j in 0..<count { addScaled(headWidth, p[j], values + (first + j) * width + column, target) }
        }
    }
}

/// Softmax of the first `count` numbers; room up to the next lane boundary is overwritten.
@inline(__always)
func softmaxLanes<S: NetworkScalar>(count: Int, stride: Int, _ p: UnsafeMutablePointer<S>) {
    for j in count..<stride { p[j] = -S.greatestFiniteMagnitude }
    var largest = S.Lanes.load(p)
    var i = laneCount
    while i < stride {
        largest = largest.larger(.load(p + i))
        i &+= laneCount
    }
    let top = S.Lanes(largest.largest)
    var total = S.Lanes(0)
    i = 0
    while i &+ laneCount <= count {
        let e = (S.Lanes.load(p + i) - top).exponential
        e.store(p + i)
        total = total + e
        i &+= laneCount
    }
    var sum = total.sum
    if i < count {
        (S.Lanes.load(p + i) - top).exponential.store(p + i)
        for j in i..<count { sum += p[j] }
    }
    let factor = S.Lanes(1 / sum)
    i = 0
    while i < stride {
        (S.Lanes.load(p + i) * factor).store(p + i)
        i &+= laneCount
    }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
func softmaxRow<S: NetworkScalar>(count: Int, stride: Int, _ p: UnsafeMutablePointer<S>) {
    softmaxLanes(count: count, stride: stride, p)
}

/// Softmax of each row over the keys its query may see; all other entries become 0.
@_specialize(where S == Float)
@_specialize(where S == Double)
func softmaxRows<S: NetworkScalar>(
    length: Int, stride: Int, causal: Bool, window: Int, _ p: UnsafeMutablePointer<S>
) {
    for row in 0..<length {
        let line = p + row * stride
        guard causal || window < length else {
            softmaxLanes(count: length, stride: stride, line)
            continue
        }
        let count = causal ? row + 1 : length
        // Whole lanes of masked keys are skipped, the others are pushed below every score.
        let first = max(0, row + 1 - window)
        let begin = first & ~(laneCount - 1)
        for j in begin..<first { line[j] = -S.greatestFiniteMagnitude }
        let end = (count + laneCount - 1) & ~(laneCount - 1)
        softmaxLanes(count: count - begin, stride: end - begin, line + begin)
        for j in 0..<first { line[j] = 0 }
        for j in count..<length { line[j] = 0 }
    }
}

/// dP becomes dS = P ⊙ (dP − rowsum(dP⊙P)) · scale.
@_specialize(where S == Float)
@_specialize(where S == Double)
func softmaxRowsBackward<S: NetworkScalar>(
    length: Int, stride: Int, scale: S, _ p: UnsafePointer<S>, _ slope: UnsafeMutablePointer<S>
) {
    let factor = S.Lanes(scale)
    for row in 0..<length {
        let probability = p + row * stride
        let d = slope + row * stride
        for j in length..<stride { d[j] = 0 }
        let sum = S.Lanes(dotProduct(length, probability, d))
        var i = 0
        while i < stride {
            (S.Lanes.load(probability + i) * (S.Lanes.load(d + i) - sum) * factor).store(d + i)
            i &+= laneCount
        }
    }
}
