import Tensors

/// Randomness of a run, keyed by what it is for, so that no generator state has to be saved.
public struct KeyedRandom: Sendable, Hashable {
    public let seed: UInt64

    public init(seed: UInt64) { self.seed = seed }

    /// A stream for one purpose, e.g. `("order", task, epoch)`.
    public func stream(_ purpose: String, _ parts: Int...) -> CounterRandom {
        CounterRandom(seed: seed, stream: "cil", purpose, parts.map(String.init).joined(separator: "/"))
    }

    /// 0..<count in random order (Fisher–Yates).
    public func permutation(_ count: Int, _ purpose: String, _ parts: Int...) -> [Int] {
        let random = CounterRandom(seed: seed, stream: "cil", purpose, parts.map(String.init).joined(separator: "/"))
        var result = Array(0..<count)
        for index in stride(from: count - 1, to: 0, by: -1) {
            let word = UInt64(random.word(UInt64(index)))
            result.swapAt(index, Int(word * UInt64(index + 1) >> 32))
        }
        return result
    }

    /// Fills with U(−bound, bound).
    static func fill(_ values: UnsafeMutableBufferPointer<Float>, bound: Float, _ random: CounterRandom) {
        random.fillUniforms(from: 0, into: values)
        for index in values.indices { values[index] = bound * (2 * values[index] - 1) }
    }
}

/// A stream and nothing else, so that call sites read as sentences.
public struct KeyedStream: Sendable {
    let random: CounterRandom
}

extension KeyedRandom {
    /// The stream of a slot's A at one site.
    func initial(_ slot: String, task: Int, site: String) -> KeyedStream {
        KeyedStream(random: CounterRandom(seed: seed, stream: "cil", "init", slot, String(task), site))
    }
}
