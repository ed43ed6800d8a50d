/// Small loops over single-precision rows, in an order of additions that is fixed.
enum VectorKernels {
    @inline(__always)
    static func dot(_ count: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>) -> Float {
        var lanes = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        var index = 0
        while index &+ 16 <= count {
            let p = UnsafeRawPointer(a + index)
            let q = UnsafeRawPointer(b + index)
            lanes.0.addProduct(p.loadUnaligned(as: SIMD8<Float>.self), q.loadUnaligned(as: SIMD8<Float>.self))
            lanes.1.addProduct(
                p.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self),
                q.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self))
            index &+= 16
        }
        var sum = (lanes.0 + lanes.1).sum()
        while index < count {
            sum += a[index] * b[index]
            index &+= 1
        }
        return sum
    }

    /// y += factor · x
    @inline(__always)
    static func add(_ count: Int, _ factor: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        for index in 0..<count { y[index] += factor * x[index] }
    }
}
