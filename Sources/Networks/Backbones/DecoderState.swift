/// What a decoder remembers of one sequence: keys and values, or the states of convolution and scan, per layer.
public final class DecoderState<S: NetworkScalar>: @unchecked Sendable {
    /// Tokens that were read.
    public internal(set) var position = 0
    private var places: [(first: UnsafeMutablePointer<S>, second: UnsafeMutablePointer<S>, sizes: (Int, Int))?]

    init(depth: Int) {
        places = Array(repeating: nil, count: depth)
    }

    deinit {
        for place in places {
            place?.first.deallocate()
            place?.second.deallocate()
        }
    }

    /// The two buffers of a layer. With `rows` > 0 they grow with the sequence, `first` and `second` numbers per
    /// token; otherwise they have these sizes and begin as zeros.
    func buffers(
        _ layer: Int, rows: Int, _ first: Int, _ second: Int
    ) -> (first: UnsafeMutablePointer<S>, second: UnsafeMutablePointer<S>) {
        let tokens = rows > 0 ? position + rows : 1
        if let place = places[layer], place.sizes.0 >= tokens * first, place.sizes.1 >= tokens * second {
            return (place.first, place.second)
        }
        let capacity = rows > 0 ? max(64, 2 * tokens) : 1
        func grown(_ old: UnsafeMutablePointer<S>?, _ count: Int, _ width: Int) -> UnsafeMutablePointer<S> {
            let new = UnsafeMutablePointer<S>.allocate(capacity: max(1, capacity * width))
            new.initialize(repeating: 0, count: capacity * width)
            if let old {
                new.update(from: old, count: count)
                old.deallocate()
            }
            return new
        }
        let old = places[layer]
        let new = (
            first: grown(old?.first, old?.sizes.0 ?? 0, first),
            second: grown(old?.second, old?.sizes.1 ?? 0, second), sizes: (capacity * first, capacity * second)
        )
        places[layer] = new
        return (new.first, new.second)
    }
}
