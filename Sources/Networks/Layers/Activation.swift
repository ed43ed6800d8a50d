/// Element-wise functions of the four families. The f32 error is at most 1e-6 relative to the exact value.
public enum Activation: String, Sendable {
    /// x·Φ(x).
    case gelu
    /// ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³); the names `gelu_new` and `gelu_pytorch_tanh`.
    case geluTanh = "gelu_pytorch_tanh"
    /// x·σ(x).
    case silu
    case relu

    /// The function that a configuration names, nil for an unknown one.
    public init?(configurationName name: String) {
        switch name {
        case "gelu", "gelu (erf)": self = .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": self = .geluTanh
        case "silu", "swish": self = .silu
        case "relu": self = .relu
        default: return nil
        }
    }

    /// y := f(x). `x` and `y` may be the same. With `derivative`, that receives f′(x); it may be `x` itself.
    func forward<S: NetworkScalar>(
        _ n: Int, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, derivative: UnsafeMutablePointer<S>? = nil
    ) {
        switch (self, derivative) {
        case (.gelu, let d): S.gelu(n, x, into: y, derivative: d)
        case (.geluTanh, let d): tanhForward(n, x, y, derivative: d)
        case (.silu, let d): siluForward(n, x, y, derivative: d)
        case (.relu, let d): reluForward(n, x, y, derivative: d)
        }
    }
}

/// GELU over lanes: what `NetworkScalar.gelu` is for scalars without a kernel of their own.
@_specialize(where S == Double)
func geluLanes<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, derivative: UnsafeMutablePointer<S>?
) {
    var i = 0
    while i < n {
        let count = min(laneCount, n &- i)
        let v = count == laneCount ? S.Lanes.load(x + i) : .load(x + i, first: count, zero: 0)
        let normal = v.normal
        storeLanes(v * normal.probability, y + i, count)
        if let derivative { storeLanes(normal.probability.adding(v, times: normal.density), derivative + i, count) }
        i &+= laneCount
    }
}

/// tanh GELU is x·σ(2u); its derivative is σ + x·σ(1−σ)·2u′.
@_specialize(where S == Float)
@_specialize(where S == Double)
private func tanhForward<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, derivative: UnsafeMutablePointer<S>?
) {
    let one = S.Lanes(1)
    let slope = S.Lanes(S(1.595_769_121_605_730_7))  // 2√(2/π)
    let cubic = S.Lanes(S(0.044715))
    var i = 0
    while i < n {
        let count = min(laneCount, n &- i)
        let v = count == laneCount ? S.Lanes.load(x + i) : .load(x + i, first: count, zero: 0)
        let square = v * v
        let u = slope * v * one.adding(cubic, times: square)
        let sigma = one / (one + (S.Lanes(0) - u).exponential)
        storeLanes(v * sigma, y + i, count)
        if let derivative {
            let du = slope * one.adding(S.Lanes(S(0.134145)), times: square)
            storeLanes(sigma.adding(v * sigma * (one - sigma), times: du), derivative + i, count)
        }
        i &+= laneCount
    }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func siluForward<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, derivative: UnsafeMutablePointer<S>?
) {
    let one = S.Lanes(1)
    var i = 0
    while i < n {
        let count = min(laneCount, n &- i)
        let v = count == laneCount ? S.Lanes.load(x + i) : .load(x + i, first: count, zero: 0)
        let sigma = one / (one + (S.Lanes(0) - v).exponential)
        storeLanes(v * sigma, y + i, count)
        if let derivative { storeLanes(sigma * one.adding(v, times: one - sigma), derivative + i, count) }
        i &+= laneCount
    }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func reluForward<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, derivative: UnsafeMutablePointer<S>?
) {
    for i in 0..<n {
        let v = x[i]
        y[i] = v > 0 ? v : 0
        if let derivative { derivative[i] = v > 0 ? 1 : 0 }
    }
}

/// softplus: ln(1 + eˣ) = ln(1 + e^−|x|) + max(x, 0). With `derivative`, that receives σ(x); it may be `x` itself.
@_specialize(where S == Float)
@_specialize(where S == Double)
func softplusForward<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, derivative: UnsafeMutablePointer<S>? = nil
) {
    let zero = S.Lanes(0)
    let one = S.Lanes(1)
    var i = 0
    while i < n {
        let count = min(laneCount, n &- i)
        let v = count == laneCount ? S.Lanes.load(x + i) : .load(x + i, first: count, zero: 0)
        let e = (zero - v.magnitude).exponential
        storeLanes(e.logarithmOfOnePlus + v.larger(zero), y + i, count)
        if let derivative {
            let sigma = one / (one + e)
            storeLanes(S.Lanes.choose(negative: v, e * sigma, sigma), derivative + i, count)
        }
        i &+= laneCount
    }
}

@inline(__always)
func storeLanes<L: LaneVector>(_ value: L, _ p: UnsafeMutablePointer<L.Scalar>, _ count: Int) {
    if count == laneCount { value.store(p) } else { value.store(p, first: count) }
}

/// The gated activation of Llama's feed-forward network: y := SiLU(g)⊙u, with g and u the halves of each row of `gu`.
@_specialize(where S == Float)
@_specialize(where S == Double)
func gatedSiluForward<S: NetworkScalar>(
    rows: Int, width: Int, _ gu: UnsafePointer<S>, into y: UnsafeMutablePointer<S>
) {
    let one = S.Lanes(1)
    for row in 0..<rows {
        let g = gu + row * 2 * width
        mapLanes(width, g, g + width, into: y + row * width) { g, u in
            g / (one + (S.Lanes(0) - g).exponential) * u
        }
    }
}

/// Backward of `gatedSiluForward`: overwrites `gu` with [dy⊙u⊙SiLU′(g), dy⊙SiLU(g)].
@_specialize(where S == Float)
@_specialize(where S == Double)
func gatedSiluBackward<S: NetworkScalar>(
    rows: Int, width: Int, dy: UnsafePointer<S>, _ gu: UnsafeMutablePointer<S>
) {
    let one = S.Lanes(1)
    for row in 0..<rows {
        let g = gu + row * 2 * width
        let u = g + width
        let d = dy + row * width
        var i = 0
        while i < width {
            let count = min(laneCount, width &- i)
            let full = count == laneCount
            let gate = full ? S.Lanes.load(g + i) : .load(g + i, first: count, zero: 0)
            let value = full ? S.Lanes.load(u + i) : .load(u + i, first: count, zero: 0)
            let slope = full ? S.Lanes.load(d + i) : .load(d + i, first: count, zero: 0)
            let sigma = one / (one + (S.Lanes(0) - gate).exponential)
            storeLanes(slope * value * (sigma * one.adding(gate, times: one - sigma)), g + i, count)
            storeLanes(slope * (gate * sigma), u + i, count)
            i &+= laneCount
        }
    }
}

/// y := a ⊙ SiLU(z) for rows of different strides (Mamba's output gate).
@_specialize(where S == Float)
@_specialize(where S == Double)
func siluGateForward<S: NetworkScalar>(
    rows: Int, width: Int, _ a: UnsafePointer<S>, z: UnsafePointer<S>, ldz: Int, into y: UnsafeMutablePointer<S>
) {
    let one = S.Lanes(1)
    for row in 0..<rows {
        mapLanes(width, a + row * width, z + row * ldz, into: y + row * width) { a, z in
            a * (z / (one + (S.Lanes(0) - z).exponential))
        }
    }
}

/// Backward of `siluGateForward`: `dy` becomes da = dy⊙SiLU(z); dz := dy⊙a⊙SiLU′(z), with z's row stride.
@_specialize(where S == Float)
@_specialize(where S == Double)
func siluGateBackward<S: NetworkScalar>(
    rows: Int, width: Int, _ dy: UnsafeMutablePointer<S>, _ a: UnsafePointer<S>, z: UnsafePointer<S>, ldz: Int,
    dz: UnsafeMutablePointer<S>
) {
    let one = S.Lanes(1)
    for row in 0..<rows {
        let d = dy + row * width
        let value = a + row * width
        let gate = z + row * ldz
        let target = dz + row * ldz
        var i = 0
        while i < width {
            let count = min(laneCount, width &- i)
            let full = count == laneCount
            let g = full ? S.Lanes.load(gate + i) : .load(gate + i, first: count, zero: 0)
            let v = full ? S.Lanes.load(value + i) : .load(value + i, first: count, zero: 0)
            let slope = full ? S.Lanes.load(d + i) : .load(d + i, first: count, zero: 0)
            let sigma = one / (one + (S.Lanes(0) - g).exponential)
            storeLanes(slope * v * (sigma * one.adding(g, times: one - sigma)), target + i, count)
            storeLanes(slope * (g * sigma), d + i, count)
            i &+= laneCount
        }
    }
}
