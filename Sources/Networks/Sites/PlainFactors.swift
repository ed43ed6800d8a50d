/// Factors of the pairs on one linear as row kernels read them: A [rank, inputs] and Bᵀ [rank, rows of the site], pair
/// after pair.
final class PlainFactors<S: NetworkScalar>: @unchecked Sendable {
    private let values: UnsafeMutableBufferPointer<S>
    private let starts: [(a: Int, b: Int)]

    /// - Parameter shapes: rank, inputs and outputs of each pair.
    init(_ shapes: [(rank: Int, inputs: Int, outputs: Int)]) {
        var next = 0
        starts = shapes.map { shape in
            let a = next
            let b = a + shape.rank * shape.inputs
            next = b + shape.rank * shape.outputs
            return (a, b)
        }
        values = .allocate(capacity: max(1, next))
        values.initialize(repeating: 0)
    }

    deinit { values.deallocate() }

    @inline(__always)
    func a(_ member: Int) -> UnsafePointer<S> {
        UnsafePointer(values.baseAddress.unsafelyUnwrapped + starts[member].a)
    }

    @inline(__always)
    func b(_ member: Int) -> UnsafePointer<S> {
        UnsafePointer(values.baseAddress.unsafelyUnwrapped + starts[member].b)
    }

    /// Takes a pair's factors over.
    func refresh(_ member: Int, _ pair: LoRAPair, of slot: LoRASlot<S>) {
        let base = values.baseAddress.unsafelyUnwrapped
        (base + starts[member].a).update(from: slot.pointer(pair.a.lowerBound), count: pair.a.count)
        let b = slot.pointer(pair.b.lowerBound)
        let target = base + starts[member].b
        for row in 0..<pair.outputs {
            for j in 0..<pair.rank { target[j * pair.outputs + row] = b[row * pair.rank + j] }
        }
    }
}
