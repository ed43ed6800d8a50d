/// The recurrence of Mamba-1 over the rows of one sample, channels eight at a time:
/// h_t = exp(Δ_t⊙A) ⊙ h_{t−1} + (Δ_t⊙s_t)·B_tᵀ, y_t = h_t·C_t + D⊙s_t.
///
/// States are laid out [states, width] so that channels lie side by side. For backward the state is kept at the start
/// of every segment of about √L rows; within a segment it is computed again (memory L·width·states / √L).
struct SelectiveScan<S: NetworkScalar> {
    /// Channels; states per channel.
    let width: Int
    let states: Int
    /// A = −exp(A_log), transposed to [states, width].
    let a: UnsafePointer<S>
    /// D [width].
    let d: UnsafePointer<S>

    /// Δ [rows, width], s [rows, width], and B, C in rows of stride `ld`.
    struct Inputs {
        let delta: UnsafePointer<S>
        let s: UnsafePointer<S>
        let b: UnsafePointer<S>
        let c: UnsafePointer<S>
        let ld: Int
    }

    struct Gradients {
        let delta: UnsafeMutablePointer<S>
        let s: UnsafeMutablePointer<S>
        let b: UnsafeMutablePointer<S>
        let c: UnsafeMutablePointer<S>
        let ld: Int
    }

    static func segment(length: Int) -> Int { max(1, Int(Double(length).squareRoot().rounded(.up))) }

    /// Numbers that the checkpoints of a sample take.
    func checkpointCount(length: Int) -> Int {
        let segment = Self.segment(length: length)
        return (length + segment - 1) / segment * states * width
    }

    /// y := the scan; `state` [states, width] (nil: zeros) is read at the start and receives the last state.
    func forward(
        length: Int, _ inputs: Inputs, into y: UnsafeMutablePointer<S>, checkpoints: UnsafeMutablePointer<S>?,
        state: UnsafeMutablePointer<S>?, scratch: Arena<S>
    ) {
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        scanForward(
            length: length, width: width, states: states, a, d, inputs.delta, inputs.s, inputs.b, inputs.c, inputs.ld,
            y, checkpoints, Self.segment(length: length), state, scratch.take(states * laneCount))
    }

    /// Gradients of all inputs; `gradients.b` and `.c` are overwritten, `.delta` and `.s` too.
    func backward(
        length: Int, _ inputs: Inputs, dy: UnsafePointer<S>, checkpoints: UnsafePointer<S>, _ gradients: Gradients,
        scratch: Arena<S>
    ) {
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        let segment = Self.segment(length: length)
        let history = scratch.take((segment + 1) * states * laneCount)
        let adjoint = scratch.take(states * laneCount)
        let sums = scratch.takeZeros(2 * length * states * laneCount)
        scanBackward(
            length: length, width: width, states: states, a, d, inputs.delta, inputs.s, inputs.b, inputs.c, inputs.ld,
            dy, checkpoints, segment, gradients.delta, gradients.s, sums, history, adjoint)
        for t in 0..<length {
            for n in 0..<states {
                let lanes = sums + (t * states + n) * 2 * laneCount
                gradients.b[t * gradients.ld + n] = S.Lanes.load(lanes).sum
                gradients.c[t * gradients.ld + n] = S.Lanes.load(lanes + laneCount).sum
            }
        }
    }
}

@inline(__always)
private func lanes<S: NetworkScalar>(_ p: UnsafePointer<S>, _ count: Int) -> S.Lanes {
    count == laneCount ? .load(p) : .load(p, first: count, zero: 0)
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func scanForward<S: NetworkScalar>(
    length: Int, width: Int, states: Int, _ a: UnsafePointer<S>, _ d: UnsafePointer<S>, _ delta: UnsafePointer<S>,
    _ s: UnsafePointer<S>, _ b: UnsafePointer<S>, _ c: UnsafePointer<S>, _ ld: Int, _ y: UnsafeMutablePointer<S>,
    _ checkpoints: UnsafeMutablePointer<S>?, _ segment: Int, _ state: UnsafeMutablePointer<S>?,
    _ h: UnsafeMutablePointer<S>
) {
    var first = 0
    while first < width {
        let count = min(laneCount, width - first)
        for n in 0..<states {
            let start = state.map { lanes(UnsafePointer($0 + n * width + first), count) } ?? S.Lanes(0)
            start.store(h + n * laneCount)
        }
        let skip = lanes(d + first, count)
        for t in 0..<length {
            if let checkpoints, t % segment == 0 {
                let target = checkpoints + t / segment * states * width + first
                for n in 0..<states { storeLanes(S.Lanes.load(h + n * laneCount), target + n * width, count) }
            }
            let step = lanes(delta + t * width + first, count)
            let input = lanes(s + t * width + first, count)
            let weighted = step * input
            var sum = skip * input
            for n in 0..<states {
                let decay = (step * lanes(a + n * width + first, count)).exponential
                let value = (decay * .load(h + n * laneCount)).adding(weighted, times: S.Lanes(b[t * ld + n]))
                value.store(h + n * laneCount)
                sum = sum.adding(value, times: S.Lanes(c[t * ld + n]))
            }
            storeLanes(sum, y + t * width + first, count)
        }
        if let state {
            for n in 0..<states { storeLanes(S.Lanes.load(h + n * laneCount), state + n * width + first, count) }
        }
        first += laneCount
    }
}

/// For t from the end, with λ the adjoint of h_t: λ += dy_t·C_tᵀ; dC_t = h_tᵀ·dy_t; w = λ·B_t;
/// dΔ_t = Σ_n λ⊙h_{t−1}⊙Ā_t⊙A + w⊙s_t; ds_t = dy_t⊙D + w⊙Δ_t; dB_t = λᵀ(Δ_t⊙s_t); λ ← λ⊙Ā_t.
@_specialize(where S == Float)
@_specialize(where S == Double)
private func scanBackward<S: NetworkScalar>(
    length: Int, width: Int, states: Int, _ a: UnsafePointer<S>, _ d: UnsafePointer<S>, _ delta: UnsafePointer<S>,
    _ s: UnsafePointer<S>, _ b: UnsafePointer<S>, _ c: UnsafePointer<S>, _ ld: Int, _ dy: UnsafePointer<S>,
    _ checkpoints: UnsafePointer<S>, _ segment: Int, _ dDelta: UnsafeMutablePointer<S>, _ ds: UnsafeMutablePointer<S>,
    _ sums: UnsafeMutablePointer<S>, _ history: UnsafeMutablePointer<S>, _ adjoint: UnsafeMutablePointer<S>
) {
    let block = states * laneCount
    var first = 0
    while first < width {
        let count = min(laneCount, width - first)
        let skip = lanes(d + first, count)
        for n in 0..<states { S.Lanes(0).store(adjoint + n * laneCount) }
        var end = length
        while end > 0 {
            let begin = (end - 1) / segment * segment
            let saved = checkpoints + begin / segment * states * width + first
            for n in 0..<states { lanes(saved + n * width, count).store(history + n * laneCount) }
            for t in begin..<end {
                let step = lanes(delta + t * width + first, count)
                let weighted = step * lanes(s + t * width + first, count)
                let before = history + (t - begin) * block
                for n in 0..<states {
                    let decay = (step * lanes(a + n * width + first, count)).exponential
                    let value = (decay * .load(before + n * laneCount)).adding(
                        weighted, times: S.Lanes(b[t * ld + n]))
                    value.store(before + block + n * laneCount)
                }
            }
            var t = end - 1
            while t >= begin {
                let step = lanes(delta + t * width + first, count)
                let input = lanes(s + t * width + first, count)
                let slope = lanes(dy + t * width + first, count)
                let weighted = step * input
                let before = history + (t - begin) * block
                var w = S.Lanes(0)
                var change = S.Lanes(0)
                for n in 0..<states {
                    let rate = lanes(a + n * width + first, count)
                    let decay = (step * rate).exponential
                    let old = S.Lanes.load(before + n * laneCount)
                    let new = S.Lanes.load(before + block + n * laneCount)
                    let lambda = S.Lanes.load(adjoint + n * laneCount).adding(slope, times: S.Lanes(c[t * ld + n]))
                    let target = sums + (t * states + n) * 2 * laneCount
                    S.Lanes.load(target).adding(lambda, times: weighted).store(target)
                    S.Lanes.load(target + laneCount).adding(new, times: slope).store(target + laneCount)
                    w = w.adding(lambda, times: S.Lanes(b[t * ld + n]))
                    let decayed = lambda * decay
                    change = change.adding(decayed * old, times: rate)
                    decayed.store(adjoint + n * laneCount)
                }
                storeLanes(change.adding(w, times: input), dDelta + t * width + first, count)
                storeLanes((slope * skip).adding(w, times: step), ds + t * width + first, count)
                t -= 1
            }
            end = begin
        }
        first += laneCount
    }
}
