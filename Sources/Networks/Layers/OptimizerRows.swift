/// One AdamW step over a run of parameters; the numbers that do not change from parameter to parameter are worked out
/// by the caller.
public struct AdamWStep<S: NetworkScalar>: Sendable {
    /// β₁ and β₂.
    public var keep: (first: S, second: S)
    /// 1 − β₁ and 1 − β₂, rounded from double precision.
    public var take: (first: S, second: S)
    /// 1 − η·wd.
    public var decay: S
    /// η / (1 − β₁ᵗ).
    public var rate: S
    /// 1 / √(1 − β₂ᵗ).
    public var scale: S
    public var epsilon: S

    public init(
        keep: (first: S, second: S), take: (first: S, second: S), decay: S, rate: S, scale: S, epsilon: S
    ) {
        self.keep = keep
        self.take = take
        self.decay = decay
        self.rate = rate
        self.scale = scale
        self.epsilon = epsilon
    }

    /// m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; θ ← θ·(1−η·wd) − η·m̂/(√v̂ + ε).
    ///
    /// Each parameter's result depends on its own numbers alone, whatever its place.
    public func apply(
        _ count: Int, gradient: UnsafePointer<S>, first: UnsafeMutablePointer<S>, second: UnsafeMutablePointer<S>,
        values: UnsafeMutablePointer<S>
    ) {
        adamWRows(self, count, gradient: gradient, first: first, second: second, values: values)
    }

    @inline(__always)
    fileprivate func lanes(
        _ g: S.Lanes, _ m: S.Lanes, _ v: S.Lanes, _ value: S.Lanes
    ) -> (first: S.Lanes, second: S.Lanes, value: S.Lanes) {
        let mean = (S.Lanes(take.first) * g).adding(S.Lanes(keep.first), times: m)
        let square = (S.Lanes(take.second) * g * g).adding(S.Lanes(keep.second), times: v)
        let spread = S.Lanes(epsilon).adding(square.squareRoot, times: S.Lanes(scale))
        return (mean, square, value * S.Lanes(decay) - S.Lanes(rate) * mean / spread)
    }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func adamWRows<S: NetworkScalar>(
    _ step: AdamWStep<S>, _ count: Int, gradient: UnsafePointer<S>, first: UnsafeMutablePointer<S>,
    second: UnsafeMutablePointer<S>, values: UnsafeMutablePointer<S>
) {
    var i = 0
    while i &+ laneCount <= count {
        let next = step.lanes(.load(gradient + i), .load(first + i), .load(second + i), .load(values + i))
        next.first.store(first + i)
        next.second.store(second + i)
        next.value.store(values + i)
        i &+= laneCount
    }
    let rest = count - i
    guard rest > 0 else { return }
    let next = step.lanes(
        .load(gradient + i, first: rest, zero: 0), .load(first + i, first: rest, zero: 0),
        .load(second + i, first: rest, zero: 0), .load(values + i, first: rest, zero: 0))
    next.first.store(first + i, first: rest)
    next.second.store(second + i, first: rest)
    next.value.store(values + i, first: rest)
}
