import Networks

/// Experts one after another, each with passes of its own from the pixels on (`share_compute: off`): slow, and the
/// measure that the shared way is compared with.
final class NaiveLanes {
    private let runner: NetworkRunner
    private let mixes: [AdapterMix<Float>]
    private let gradients: [Gradients<Float>]
    private let lanes: Int

    init(runner: NetworkRunner, memory: AdapterMemory, roles: TaskRoles) throws {
        self.runner = runner
        lanes = roles.lanes.count
        let shared: [SlotName] = (roles.usesSlow ? [.slow] : []) + (roles.usesMid ? [.mid] : [])
        mixes = try roles.lanes.map { lane in
            let order = [SlotName.fast(lane)] + shared
            return try AdapterMix(
                order.compactMap { memory[$0] }, on: memory.backbone,
                trainable: Set(order.indices.filter { roles.members.contains(order[$0]) }))
        }
        gradients = mixes.map { Gradients(backbone: runner.backbone, mix: $0) }
    }

    func refresh() { for mix in mixes { mix.refresh() } }

    /// Adds the gradients of one expert's pass to those of all slots: experts first, then what they share.
    func step(
        _ lane: Int, input: NetworkInput<Float>, into target: Gradients<Float>,
        loss: @Sendable (Range<Int>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
    ) throws {
        let own = gradients[lane]
        own.zero()
        try runner.backbone.step(
            input, pooling: runner.pooling, mix: mixes[lane], into: own, threads: runner.threads, loss: loss)
        for (index, gradient) in own.slots.enumerated() {
            guard let gradient, let sum = target.slots[index == 0 ? lane : lanes + index - 1] else { continue }
            for i in sum.indices { sum[i] += gradient[i] }
        }
    }
}
