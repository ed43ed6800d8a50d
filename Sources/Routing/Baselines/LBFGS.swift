/// Limited-memory BFGS for smooth convex functions (Nocedal and Wright, Numerical Optimization, algorithm 7.5), with a
/// backtracking line search.
struct LBFGS {
    var history = 20
    var maximumSteps = 500
    /// Stops when the largest entry of the gradient falls below it.
    var tolerance = 1e-5

    /// - Parameter function: value and gradient at a point.
    /// - Returns: the point with the lowest value found, its value, and whether the tolerance was reached.
    func minimise(
        from start: [Double], _ function: ([Double]) throws -> (value: Double, gradient: [Double])
    ) rethrows -> (point: [Double], value: Double, converged: Bool) {
        var x = start
        var (value, gradient) = try function(x)
        var steps: [(s: [Double], y: [Double], rho: Double)] = []
        for _ in 0..<maximumSteps {
            if gradient.allSatisfy({ abs($0) < tolerance }) { return (x, value, true) }
            var direction = direction(gradient, steps)
            var slope = Self.dot(direction, gradient)
            if slope >= 0 {
                steps = []
                direction = gradient.map { -$0 }
                slope = -Self.dot(gradient, gradient)
            }
            let length = Self.dot(gradient, gradient).squareRoot()
            var step = steps.isEmpty ? min(1, 1 / length) : 1
            var next = x
            var (nextValue, nextGradient) = (value, gradient)
            var isDescent = false
            for _ in 0..<50 {
                next = zip(x, direction).map { $0 + step * $1 }
                (nextValue, nextGradient) = try function(next)
                if nextValue <= value + 1e-4 * step * slope {
                    isDescent = true
                    break
                }
                step /= 2
            }
            guard isDescent else { return (x, value, false) }
            let s = zip(next, x).map(-)
            let y = zip(nextGradient, gradient).map(-)
            let curvature = Self.dot(s, y)
            if curvature > 1e-12 * Self.dot(y, y) {
                steps.append((s, y, 1 / curvature))
                if steps.count > history { steps.removeFirst() }
            }
            (x, value, gradient) = (next, nextValue, nextGradient)
        }
        return (x, value, false)
    }

    /// −H·g by the two-loop recursion.
    private func direction(_ gradient: [Double], _ steps: [(s: [Double], y: [Double], rho: Double)]) -> [Double] {
        var q = gradient
        var alphas: [Double] = []
        for step in steps.reversed() {
            let alpha = step.rho * Self.dot(step.s, q)
            alphas.append(alpha)
            Self.add(-alpha, step.y, to: &q)
        }
        if let last = steps.last {
            let scale = 1 / (last.rho * Self.dot(last.y, last.y))
            for i in q.indices { q[i] *= scale }
        }
        for (step, alpha) in zip(steps, alphas.reversed()) {
            Self.add(alpha - step.rho * Self.dot(step.y, q), step.s, to: &q)
        }
        return q.map { -$0 }
    }

    private static func dot(_ a: [Double], _ b: [Double]) -> Double {
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                guard let p = a.baseAddress, let q = b.baseAddress else { return 0 }
                return RowKernel.dot(a.count, p, q)
            }
        }
    }

    private static func add(_ factor: Double, _ x: [Double], to y: inout [Double]) {
        x.withUnsafeBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                if let p = x.baseAddress, let q = y.baseAddress { RowKernel.add(x.count, factor, p, to: q) }
            }
        }
    }
}
