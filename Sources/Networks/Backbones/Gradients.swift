/// What a recorded pass learns.
public struct Learning: OptionSet, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The factors of the mix's trainable slots.
    public static let adapters = Learning(rawValue: 1)
    /// Coefficients: given ones receive a gradient, routers are called back.
    public static let coefficients = Learning(rawValue: 2)
    /// The backbone's own weights (pre-training; ViT and BERT).
    public static let parameters = Learning(rawValue: 4)
}

/// Gradients of one or several passes, in buffers that are used again.
///
/// Make one per run and hand it to every backward pass; each adds to what is there, `zero()` starts afresh. The buffers
/// live as long as this object.
public final class Gradients<S: NetworkScalar>: @unchecked Sendable {
    /// Per slot of the mix, in the layout of `LoRASlot.values`; nil where the slot is not trained.
    public let slots: [UnsafeMutableBufferPointer<S>?]
    /// In the layout of `Backbone.parameters`; nil when these are not learned.
    public let parameters: UnsafeMutableBufferPointer<S>?
    /// Gradient of the coefficients that the last backward pass was given, of their shape; empty when not learned.
    public internal(set) var coefficients: [S] = []
    let mix: AdapterMix<S>?
    var accumulators: [Accumulator<S>] = []

    public init(backbone: Backbone<S>, mix: AdapterMix<S>? = nil, parameters: Bool = false) {
        self.mix = mix
        func zeros(_ count: Int) -> UnsafeMutableBufferPointer<S> {
            let buffer = UnsafeMutableBufferPointer<S>.allocate(capacity: max(1, count))
            buffer.initialize(repeating: 0)
            return UnsafeMutableBufferPointer(rebasing: buffer[0..<count])
        }
        slots = (mix?.slots ?? []).enumerated().map { index, slot in
            mix?.trainable[index] == true ? zeros(slot.count) : nil
        }
        self.parameters = parameters ? zeros(backbone.parameters.count) : nil
    }

    deinit {
        for slot in slots { slot?.baseAddress?.deallocate() }
        parameters?.baseAddress?.deallocate()
    }

    /// Sets every gradient to zero.
    public func zero() {
        for slot in slots { slot?.update(repeating: 0) }
        parameters?.update(repeating: 0)
    }

    /// `count` accumulators of zeros.
    func prepare(_ count: Int) {
        while accumulators.count < count {
            accumulators.append(
                Accumulator(
                    adapters: mix?.gradientCount ?? 0, parameters: parameters?.count ?? 0,
                    coefficients: mix?.slots.count ?? 0))
        }
        for accumulator in accumulators[0..<count] {
            accumulator.adapters.update(repeating: 0)
            accumulator.parameters.update(repeating: 0)
            accumulator.coefficients.update(repeating: 0)
        }
    }

    /// Adds the accumulators, in their order, to the gradients.
    func reduce(_ count: Int) {
        guard count > 0 else { return }
        let first = accumulators[0]
        for accumulator in accumulators[1..<count] {
            Gradients.add(accumulator.adapters, to: first.adapters)
            Gradients.add(accumulator.parameters, to: first.parameters)
        }
        if let mix, let packed = first.adapters.baseAddress {
            for group in mix.groups { group?.unpack(packed, into: slots.map { $0?.baseAddress }) }
        }
        if let parameters { Gradients.add(first.parameters, to: parameters) }
    }

    private static func add(_ x: UnsafeMutableBufferPointer<S>, to y: UnsafeMutableBufferPointer<S>) {
        if let source = x.baseAddress, let target = y.baseAddress { addInto(x.count, source, target) }
    }
}
