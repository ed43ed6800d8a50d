/// φ: norms without learned parts that make router inputs of different sites comparable (section 3.1).
enum RowNorm {
    private static let epsilon = 1e-6

    /// Normalises one row in place.
    static func forward(_ norm: RouterOptions.Norm, _ x: UnsafeMutablePointer<Double>, count: Int) {
        switch norm {
        case .none: return
        case .rms:
            let factor = 1 / (RowKernel.dot(count, x, x) / Double(count) + epsilon).squareRoot()
            for i in 0..<count { x[i] *= factor }
        case .layernorm:
            let mean = RowKernel.sum(count, x) / Double(count)
            for i in 0..<count { x[i] -= mean }
            let factor = 1 / (RowKernel.dot(count, x, x) / Double(count) + epsilon).squareRoot()
            for i in 0..<count { x[i] *= factor }
        }
    }

    /// ∂L/∂x of one row, in place of ∂L/∂φ, from the input x.
    static func backward(
        _ norm: RouterOptions.Norm, _ x: UnsafePointer<Double>, gradient dy: UnsafeMutablePointer<Double>, count: Int
    ) {
        let n = Double(count)
        switch norm {
        case .none: return
        case .rms:
            let factor = 1 / (RowKernel.dot(count, x, x) / n + epsilon).squareRoot()
            let along = RowKernel.dot(count, dy, x) / n * factor * factor
            for i in 0..<count { dy[i] = factor * (dy[i] - x[i] * along) }
        case .layernorm:
            let mean = RowKernel.sum(count, x) / n
            var square = 0.0
            var along = 0.0
            for i in 0..<count {
                square += (x[i] - mean) * (x[i] - mean)
                along += (x[i] - mean) * dy[i]
            }
            let factor = 1 / (square / n + epsilon).squareRoot()
            let slope = RowKernel.sum(count, dy) / n
            along *= factor * factor / n
            for i in 0..<count { dy[i] = factor * (dy[i] - slope - (x[i] - mean) * along) }
        }
    }
}

/// Sums over one row in a fixed order, so that a row's numbers never depend on its neighbours.
enum RowKernel {
    @inline(__always)
    static func dot(_ count: Int, _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>) -> Double {
        var first = SIMD8<Double>.zero
        var second = SIMD8<Double>.zero
        var i = 0
        while i &+ 16 <= count {
            let (p, q) = (UnsafeRawPointer(a + i), UnsafeRawPointer(b + i))
            first += p.loadUnaligned(as: SIMD8<Double>.self) * q.loadUnaligned(as: SIMD8<Double>.self)
            second +=
                p.loadUnaligned(fromByteOffset: 64, as: SIMD8<Double>.self)
                * q.loadUnaligned(fromByteOffset: 64, as: SIMD8<Double>.self)
            i &+= 16
        }
        var sum = (first + second).sum()
        while i < count {
            sum += a[i] * b[i]
            i &+= 1
        }
        return sum
    }

    static func sum(_ count: Int, _ a: UnsafePointer<Double>) -> Double {
        var sum = 0.0
        for i in 0..<count { sum += a[i] }
        return sum
    }

    /// y += factor · x.
    @inline(__always)
    static func add(_ count: Int, _ factor: Double, _ x: UnsafePointer<Double>, to y: UnsafeMutablePointer<Double>) {
        for i in 0..<count { y[i] += factor * x[i] }
    }
}
