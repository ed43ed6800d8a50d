import Networks

/// Values that are trained together and their gradient; both stay where they are while the optimiser lives.
public struct ParameterGroup<S: NetworkScalar>: @unchecked Sendable {
    /// Shown in logs and membership checks: `fast[0]`, `slow`, `head`.
    public let name: String
    public let values: UnsafeMutableBufferPointer<S>
    public let gradient: UnsafeMutableBufferPointer<S>
    /// The group's learning rate is `learningRate · multiplier`.
    public var multiplier: Double
    /// Decoupled for AdamW, added to the gradient for SGD.
    public var weightDecay: Double

    public init(
        name: String, values: UnsafeMutableBufferPointer<S>, gradient: UnsafeMutableBufferPointer<S>,
        multiplier: Double = 1, weightDecay: Double = 0
    ) {
        precondition(values.count == gradient.count, "\(values.count) values, \(gradient.count) gradients")
        self.name = name
        self.values = values
        self.gradient = gradient
        self.multiplier = multiplier
        self.weightDecay = weightDecay
    }
}

/// Which rule moves the parameters.
public enum OptimizerKind: String, Sendable, CaseIterable {
    /// Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019; bias corrected.
    case adamw
    /// Momentum 0.9: v ← m·v + g + wd·θ; θ ← θ − η·v.
    case sgd
}

/// Moves groups of parameters along their gradients.
///
/// ```swift
/// let optimizer = Optimizer(.adamw, groups: [ParameterGroup(name: "fast[0]", values: slot.values, gradient: g)])
/// optimizer.step(learningRate: 1e-3)
/// ```
/// Parameters outside the groups are never touched. The state is first-moment then second-moment per group.
public final class Optimizer<S: NetworkScalar> {
    public let kind: OptimizerKind
    public private(set) var groups: [ParameterGroup<S>]
    /// Steps taken by each group.
    public private(set) var steps: [Int]
    private var first: [[S]]
    private var second: [[S]]
    public var beta1 = 0.9
    public var beta2 = 0.999
    public var epsilon = 1e-8
    public var momentum = 0.9

    public init(_ kind: OptimizerKind, groups: [ParameterGroup<S>]) {
        self.kind = kind
        self.groups = groups
        steps = groups.map { _ in 0 }
        first = groups.map { [S](repeating: 0, count: $0.values.count) }
        second = groups.map { [S](repeating: 0, count: kind == .adamw ? $0.values.count : 0) }
    }

    /// One step of every group, or of those named by `only` (others keep their state untouched).
    ///
    /// - Parameter learningRate: η before the groups' multipliers.
    public func step(learningRate: Double, only: Set<Int>? = nil) {
        for index in groups.indices where only?.contains(index) ?? true {
            steps[index] += 1
            let rate = learningRate * groups[index].multiplier
            switch kind {
            case .adamw: stepAdamW(index, rate)
            case .sgd: stepSGD(index, rate)
            }
        }
    }

    private func stepAdamW(_ index: Int, _ rate: Double) {
        let group = groups[index]
        guard let values = group.values.baseAddress, let gradient = group.gradient.baseAddress else { return }
        let correction1 = 1 - power(beta1, steps[index])
        let correction2 = 1 - power(beta2, steps[index])
        let step = AdamWStep<S>(
            keep: (S(beta1), S(beta2)), take: (S(1 - beta1), S(1 - beta2)), decay: S(1 - rate * group.weightDecay),
            rate: S(rate / correction1), scale: S(1 / correction2.squareRoot()), epsilon: S(epsilon))
        first[index].withUnsafeMutableBufferPointer { m in
            second[index].withUnsafeMutableBufferPointer { v in
                guard let m = m.baseAddress, let v = v.baseAddress else { return }
                step.apply(group.values.count, gradient: gradient, first: m, second: v, values: values)
            }
        }
    }

    private func stepSGD(_ index: Int, _ rate: Double) {
        let group = groups[index]
        guard let values = group.values.baseAddress, let gradient = group.gradient.baseAddress else { return }
        let count = group.values.count
        let (keep, decay, step) = (S(momentum), S(group.weightDecay), S(rate))
        first[index].withUnsafeMutableBufferPointer { v in
            for i in 0..<count {
                let next = keep * v[i] + gradient[i] + decay * values[i]
                v[i] = next
                values[i] -= step * next
            }
        }
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        var (factor, left) = (base, exponent)
        while left > 0 {
            if left & 1 == 1 { result *= factor }
            factor *= factor
            left >>= 1
        }
        return result
    }

    // MARK: State

    /// Moments and step counts, for checkpoints.
    public struct State: Sendable, Equatable {
        public var steps: [Int]
        public var first: [[S]]
        public var second: [[S]]

        public init(steps: [Int], first: [[S]], second: [[S]]) {
            self.steps = steps
            self.first = first
            self.second = second
        }
    }

    /// Setting it needs the shape of the groups; a state of another shape leaves everything as it is and gives false.
    public var state: State { State(steps: steps, first: first, second: second) }

    public func restore(_ state: State) -> Bool {
        guard state.steps.count == groups.count, state.first.map(\.count) == first.map(\.count),
            state.second.map(\.count) == second.map(\.count)
        else { return false }
        (steps, first, second) = (state.steps, state.first, state.second)
        return true
    }

    /// Clears the moments at some places of one group (PAM zeroes entries whose moments must go too).
    public func clearMoments(group: Int, at places: some Sequence<Int>) {
        for place in places {
            first[group][place] = 0
            if kind == .adamw { second[group][place] = 0 }
        }
    }

    /// Forgets everything about one group.
    public func reset(group: Int) {
        steps[group] = 0
        first[group] = [S](repeating: 0, count: first[group].count)
        second[group] = [S](repeating: 0, count: second[group].count)
    }
}
