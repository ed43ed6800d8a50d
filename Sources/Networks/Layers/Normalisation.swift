/// LayerNorm (with bias) or RMSNorm (without) over the last axis.
///
/// LayerNorm: y = (x − μ)ρ⊙w + b, ρ = 1/√(v + ε), v biased. RMSNorm: y = xρ⊙w, ρ = 1/√(mean(x²) + ε).
struct Normalisation<S: NetworkScalar>: Sendable {
    enum Kind: Sendable {
        case layer
        case rootMeanSquare
    }

    let kind: Kind
    let width: Int
    let epsilon: S
    /// Weight [width] (nil: ones) and bias [width] in the parameter store.
    let weight: Int?
    let bias: Int?

    /// Numbers kept per row for backward: μ and ρ.
    static var statisticsPerRow: Int { 2 }

    /// - Parameter statistics: receives μ and ρ of each row when backward will run.
    func forward(
        _ parameters: ParameterStore<S>, rows: Int, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>,
        statistics: UnsafeMutablePointer<S>? = nil
    ) {
        normaliseRows(
            centred: kind == .layer, rows: rows, width: width, epsilon: epsilon, x, ldx: width,
            weight: weight.map { parameters.pointer($0) }, bias: bias.map { parameters.pointer($0) }, into: y,
            ldy: width, statistics: statistics)
    }

    /// dx := or += the gradient at the input; `gradient` is the store-shaped gradient when weights are trained.
    func backward(
        _ parameters: ParameterStore<S>, rows: Int, dy: UnsafePointer<S>, _ x: UnsafePointer<S>,
        statistics: UnsafePointer<S>, dx: UnsafeMutablePointer<S>, accumulate: Bool,
        gradient: UnsafeMutablePointer<S>?
    ) {
        // First, because dx may take the place of dy.
        if let gradient, let weight {
            normalisationGradient(
                rows: rows, width: width, dy: dy, x, statistics: statistics, weight: gradient + weight,
                bias: bias.map { gradient + $0 })
        }
        normaliseRowsBackward(
            centred: kind == .layer, rows: rows, width: width, dy: dy, lddy: width, x, ldx: width,
            weight: weight.map { parameters.pointer($0) }, statistics: statistics, dx: dx, lddx: width,
            accumulate: accumulate)
    }
}

/// y := (x − μ)ρ⊙w + b row by row; with `centred` false μ = 0. `x` and `y` may be the same.
@_specialize(where S == Float)
@_specialize(where S == Double)
func normaliseRows<S: NetworkScalar>(
    centred: Bool, rows: Int, width: Int, epsilon: S, _ x: UnsafePointer<S>, ldx: Int, weight: UnsafePointer<S>?,
    bias: UnsafePointer<S>?, into y: UnsafeMutablePointer<S>, ldy: Int, statistics: UnsafeMutablePointer<S>?
) {
    let whole = width & ~(laneCount - 1)
    let rest = width - whole
    let inverse = 1 / S(width)
    for row in 0..<rows {
        let line = x + row * ldx
        let target = y + row * ldy
        var mean: S = 0
        if centred {
            var sums = S.Lanes(0)
            var i = 0
            while i < whole {
                sums = sums + .load(line + i)
                i &+= laneCount
            }
            if rest > 0 { sums = sums + .load(line + whole, first: rest, zero: 0) }
            mean = sums.sum * inverse
        }
        let centre = S.Lanes(mean)
        var squares = S.Lanes(0)
        var i = 0
        while i < whole {
            let v = S.Lanes.load(line + i) - centre
            squares = squares.adding(v, times: v)
            i &+= laneCount
        }
        if rest > 0 {
            for j in whole..<width { target[j] = line[j] - mean }
            let v = S.Lanes.load(target + whole, first: rest, zero: 0)
            squares = squares.adding(v, times: v)
        }
        let rho = 1 / (squares.sum * inverse + epsilon).squareRoot()
        if let statistics {
            statistics[2 * row] = mean
            statistics[2 * row + 1] = rho
        }
        let factor = S.Lanes(rho)
        i = 0
        while i < whole {
            var v = (S.Lanes.load(line + i) - centre) * factor
            if let weight { v = v * .load(weight + i) }
            if let bias { v = v + .load(bias + i) }
            v.store(target + i)
            i &+= laneCount
        }
        while i < width {
            var v = target[i] * rho
            if let weight { v = v * weight[i] }
            if let bias { v = v + bias[i] }
            target[i] = v
            i &+= 1
        }
    }
}

/// With h = dy⊙w and x̂ = (x − μ)ρ: dx = ρ(h − mean(h) − x̂·mean(h⊙x̂)); without centring the middle term is absent.
/// `dx` may be `dy`.
@_specialize(where S == Float)
@_specialize(where S == Double)
func normaliseRowsBackward<S: NetworkScalar>(
    centred: Bool, rows: Int, width: Int, dy: UnsafePointer<S>, lddy: Int, _ x: UnsafePointer<S>, ldx: Int,
    weight: UnsafePointer<S>?, statistics: UnsafePointer<S>, dx: UnsafeMutablePointer<S>, lddx: Int, accumulate: Bool
) {
    let whole = width & ~(laneCount - 1)
    let rest = width - whole
    let inverse = 1 / S(width)
    for row in 0..<rows {
        let line = x + row * ldx
        let slope = dy + row * lddy
        let target = dx + row * lddx
        let mean = S.Lanes(statistics[2 * row])
        let rho = S.Lanes(statistics[2 * row + 1])
        var sum = S.Lanes(0)
        var product = S.Lanes(0)
        var i = 0
        while i < width {
            let full = i < whole
            var h = full ? S.Lanes.load(slope + i) : .load(slope + i, first: rest, zero: 0)
            if let weight { h = h * (full ? .load(weight + i) : .load(weight + i, first: rest, zero: 0)) }
            let v = full ? S.Lanes.load(line + i) : .load(line + i, first: rest, zero: 0)
            sum = sum + h
            product = product.adding(h, times: (v - mean) * rho)
            i &+= laneCount
        }
        let first = S.Lanes(centred ? sum.sum * inverse : 0)
        let second = S.Lanes(product.sum * inverse)
        i = 0
        while i < width {
            let full = i < whole
            var h = full ? S.Lanes.load(slope + i) : .load(slope + i, first: rest, zero: 0)
            if let weight { h = h * (full ? .load(weight + i) : .load(weight + i, first: rest, zero: 0)) }
            let v = full ? S.Lanes.load(line + i) : .load(line + i, first: rest, zero: 0)
            var d = rho * (h - first - (v - mean) * rho * second)
            if accumulate { d = d + (full ? .load(target + i) : .load(target + i, first: rest, zero: 0)) }
            storeLanes(d, target + i, full ? laneCount : rest)
            i &+= laneCount
        }
    }
}

/// weight += Σ dy⊙x̂, bias += Σ dy over the rows, in row order.
@_specialize(where S == Float)
@_specialize(where S == Double)
private func normalisationGradient<S: NetworkScalar>(
    rows: Int, width: Int, dy: UnsafePointer<S>, _ x: UnsafePointer<S>, statistics: UnsafePointer<S>,
    weight: UnsafeMutablePointer<S>, bias: UnsafeMutablePointer<S>?
) {
    for row in 0..<rows {
        let mean = statistics[2 * row]
        let rho = statistics[2 * row + 1]
        let slope = dy + row * width
        let line = x + row * width
        for i in 0..<width { weight[i] = weight[i] + slope[i] * ((line[i] - mean) * rho) }
    }
    if let bias { addColumnSums(rows: rows, width: width, dy, ldx: width, into: bias) }
}
