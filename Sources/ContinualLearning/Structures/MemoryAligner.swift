import LinearAlgebra
import Networks
import Tensors
import Training

/// Keeps the fast memory from working against important entries of slow while it learns (cil-engine 9).
struct MemoryAligner {
    let configuration: RunConfiguration
    let task: Int

    private var options: RunConfiguration.Alignment { configuration.alignment }

    /// Steps between alignments: as configured, and at least twice per task.
    func interval(steps: Int) -> Int { max(1, min(options.every, steps / 2)) }

    func align(
        _ memory: AdapterMemory, roles: TaskRoles, optimizer: Optimizer<Float>, groups: [LearningGroup]
    ) throws {
        if configuration.structure == .pam {
            if task > 0 { alignFactors(memory, optimizer, groups) }
            return
        }
        guard let slow = memory.slow, try memory.norm(of: .slow) > 0 else { return }
        for lane in roles.lanes {
            if configuration.factorMode == .sharedA {
                alignShared(lane, memory, slow, optimizer, groups)
            } else {
                try alignDense(lane, memory, optimizer, groups)
            }
        }
    }

    // MARK: On factors, elementwise (9.1)

    private func alignFactors(_ memory: AdapterMemory, _ optimizer: Optimizer<Float>, _ groups: [LearningGroup]) {
        guard let slow = memory.slow, let clone = memory[.fast(0)] else { return }
        let group = groups.firstIndex { $0.slot == .fast(0) }
        for pair in clone.pairs {
            for range in [pair.a, pair.b] {
                let limit = Self.threshold(slow.values[range].map { abs($0) }, share: options.share)
                var touched: [Int] = []
                for i in range {
                    let (s, f) = (slow.values[i], clone.values[i])
                    guard s * f < 0, abs(s) >= limit else { continue }
                    clone.values[i] = replacement(s, f)
                    touched.append(i)
                }
                if let group, configuration.factorMode != .sharedA {
                    optimizer.clearMoments(group: group, at: touched)
                }
            }
        }
    }

    private func replacement(_ slow: Float, _ fast: Float) -> Float {
        switch options.action {
        case .zero: 0
        case .global: slow
        case .suppress: fast * Float(options.suppress)
        }
    }

    // MARK: On B with a common A (9.2)

    private func alignShared(
        _ lane: Int, _ memory: AdapterMemory, _ slow: LoRASlot<Float>, _ optimizer: Optimizer<Float>,
        _ groups: [LearningGroup]
    ) {
        guard let fast = memory[.fast(lane)] else { return }
        let own = groups.indices.filter { groups[$0].slot == .fast(lane) }
        for (index, pair) in fast.pairs.enumerated() where slow.pairs[index].b == pair.b {
            let limit = Self.threshold(slow.values[pair.b].map { abs($0) }, share: options.share)
            var touched: [Int] = []
            for i in pair.b where conflicts(Double(slow.values[i]), Double(fast.values[i]), limit: Double(limit)) {
                fast.values[i] *= Float(factor)
                touched.append(i - pair.b.lowerBound)
            }
            if own.indices.contains(index) { optimizer.clearMoments(group: own[index], at: touched) }
        }
    }

    // MARK: On dense Δ, projected back (9.2)

    private func alignDense(
        _ lane: Int, _ memory: AdapterMemory, _ optimizer: Optimizer<Float>, _ groups: [LearningGroup]
    ) throws {
        guard let fast = memory[.fast(lane)] else { return }
        let slow = try memory.updates(of: .slow)
        let updates = try memory.updates(of: .fast(lane))
        for pair in fast.pairs {
            guard let top = updates["\(pair.site)"], let bottom = slow["\(pair.site)"] else { continue }
            var dense = try top.dense()
            let under = try bottom.dense()
            let limit = Self.threshold(under.elements.map { abs($0) }, share: options.share)
            var found = false
            for i in dense.elements.indices where conflicts(under.elements[i], dense.elements[i], limit: limit) {
                dense.elements[i] *= factor
                found = true
            }
            guard found else { continue }
            let svd = try thinSVD(dense, place: "\(pair.site)").truncated(to: pair.rank)
            let roots = svd.sigma.map { ($0 / pair.scale).squareRoot() }
            let (a, b) = (fast.a(pair), fast.b(pair))
            let left = svd.u.scalingColumns(by: roots)
            let right = svd.vt.scalingRows(by: roots)
            // Directions that vanished keep their A, so that they can still learn.
            for column in 0..<pair.rank {
                let isUsed = column < roots.count && roots[column] > 0
                for row in 0..<pair.outputs {
                    b[row * pair.rank + column] = isUsed ? Float(left[row, column]) : 0
                }
                guard isUsed else { continue }
                for i in 0..<pair.inputs { a[column * pair.inputs + i] = Float(right[column, i]) }
            }
        }
        for index in groups.indices where groups[index].slot == .fast(lane) { optimizer.reset(group: index) }
    }

    private var factor: Double { options.action == .suppress ? options.suppress : 0 }

    private func conflicts(_ slow: Double, _ fast: Double, limit: Double) -> Bool {
        guard slow != 0, abs(slow) >= limit else { return false }
        switch options.criterion {
        case .residual: return slow * fast < 0
        case .absolute: return (slow + fast) * slow < 0
        }
    }

    /// The k-th largest value, k = ⌊p·N + 1e-9⌋; ties at it all count.
    static func threshold<Value: BinaryFloatingPoint>(_ values: [Value], share: Double) -> Value {
        let count = Int(share * Double(values.count) + 1e-9)
        guard count > 0 else { return .infinity }
        return values.sorted(by: >)[count - 1]
    }
}
