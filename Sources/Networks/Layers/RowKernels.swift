// Elementary operations on rows. Each is written once over lanes and compiled for Float and Double.

/// y := x + v for every row (`v` is one row), or y := x when `v` is nil.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addRow<S: NetworkScalar>(
    rows: Int, width: Int, x: UnsafePointer<S>, _ v: UnsafePointer<S>?, into y: UnsafeMutablePointer<S>
) {
    guard let v else {
        if UnsafePointer(y) != x { y.update(from: x, count: rows * width) }
        return
    }
    for row in 0..<rows {
        let from = x + row * width
        let to = y + row * width
        for i in 0..<width { to[i] = from[i] + v[i] }
    }
}

/// y += x.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addInto<S: NetworkScalar>(_ count: Int, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>) {
    for i in 0..<count { y[i] = y[i] + x[i] }
}

/// y *= x.
@_specialize(where S == Float)
@_specialize(where S == Double)
func multiplyInto<S: NetworkScalar>(_ count: Int, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>) {
    for i in 0..<count { y[i] = y[i] * x[i] }
}

/// y += a·x.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addScaled<S: NetworkScalar>(_ count: Int, _ a: S, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>) {
    for i in 0..<count { y[i] = y[i] + a * x[i] }
}

/// y [width] += sum over the rows of x, in row order.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addColumnSums<S: NetworkScalar>(
    rows: Int, width: Int, _ x: UnsafePointer<S>, ldx: Int, into y: UnsafeMutablePointer<S>
) {
    for row in 0..<rows {
        let line = x + row * ldx
        for i in 0..<width { y[i] = y[i] + line[i] }
    }
}

/// ⟨x, y⟩ in lanes.
@_specialize(where S == Float)
@_specialize(where S == Double)
func dotProduct<S: NetworkScalar>(_ n: Int, _ x: UnsafePointer<S>, _ y: UnsafePointer<S>) -> S {
    var sum = S.Lanes(0)
    var i = 0
    while i &+ laneCount <= n {
        sum = sum.adding(.load(x + i), times: .load(y + i))
        i &+= laneCount
    }
    if i < n { sum = sum.adding(.load(x + i, first: n - i, zero: 0), times: .load(y + i, first: n - i, zero: 0)) }
    return sum.sum
}

/// Copies `width` columns of each row between matrices of different row strides.
@_specialize(where S == Float)
@_specialize(where S == Double)
func copyColumns<S: NetworkScalar>(
    rows: Int, width: Int, from x: UnsafePointer<S>, ldx: Int, to y: UnsafeMutablePointer<S>, ldy: Int
) {
    for row in 0..<rows { (y + row * ldy).update(from: x + row * ldx, count: width) }
}

/// Adds `width` columns of each row.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addColumns<S: NetworkScalar>(
    rows: Int, width: Int, from x: UnsafePointer<S>, ldx: Int, to y: UnsafeMutablePointer<S>, ldy: Int
) {
    for row in 0..<rows {
        let from = x + row * ldx
        let to = y + row * ldy
        for i in 0..<width { to[i] = to[i] + from[i] }
    }
}

/// y := f(x) lane by lane; inlined into specialised callers.
@inline(__always)
func mapLanes<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, _ f: (S.Lanes) -> S.Lanes
) {
    var i = 0
    while i &+ laneCount <= n {
        f(.load(x + i)).store(y + i)
        i &+= laneCount
    }
    if i < n { f(.load(x + i, first: n - i, zero: 0)).store(y + i, first: n - i) }
}

/// y := f(x, z) lane by lane; inlined into specialised callers.
@inline(__always)
func mapLanes<S: NetworkScalar>(
    _ n: Int, _ x: UnsafePointer<S>, _ z: UnsafePointer<S>, into y: UnsafeMutablePointer<S>,
    _ f: (S.Lanes, S.Lanes) -> S.Lanes
) {
    var i = 0
    while i &+ laneCount <= n {
        f(.load(x + i), .load(z + i)).store(y + i)
        i &+= laneCount
    }
    if i < n {
        f(.load(x + i, first: n - i, zero: 0), .load(z + i, first: n - i, zero: 0)).store(y + i, first: n - i)
    }
}
