import Foundation
import Networks

/// The network of one router: scores z [outputs] of an input row, forward and backward (section 3.1).
///
/// Its parameters stand in a flat buffer of the whole model, from `offset` on.
public struct RouterNetwork: Sendable {
    /// A named block of the parameters: `weight`, `bias`, `fc1.weight`, `gain`.
    public struct Tensor: Sendable, Hashable {
        public let name: String
        public let shape: [Int]
        /// Within the model's parameters.
        public let range: Range<Int>
    }

    /// `L03.qkv`, `L03.q`, `L03`, `global`.
    public let id: String
    public let kind: RouterOptions.Kind
    public let norm: RouterOptions.Norm
    public let inputs: Int
    /// Experts and the null expert.
    public let outputs: Int
    public let hidden: Int
    /// Which output each unit belongs to; for all kinds but `prototypes` units are outputs.
    public let owners: [Int]
    /// Outputs that have a pair here; nil: all.
    public let covered: [Bool]?
    /// The sites that the router decides about; empty for the global one.
    public let sites: [SiteID]
    public let offset: Int
    public let tensors: [Tensor]

    public var units: Int { owners.count }
    public var count: Int { (tensors.last?.range.upperBound ?? offset) - offset }

    public init(
        id: String, options: RouterOptions, norm: RouterOptions.Norm, inputs: Int, outputs: Int, owners: [Int]? = nil,
        covered: [Bool]? = nil, sites: [SiteID] = [], offset: Int
    ) {
        self.id = id
        kind = options.kind
        self.norm = norm
        self.inputs = inputs
        self.outputs = outputs
        hidden = options.hidden
        self.owners = options.kind == .prototypes ? owners ?? Array(0..<outputs) : Array(0..<outputs)
        self.covered = covered
        self.sites = sites
        self.offset = offset
        var shapes: [(String, [Int])]
        switch options.kind {
        case .linear, .prototypes: shapes = [("weight", [self.owners.count, inputs])]
        case .mlp: shapes = [("fc1.weight", [options.hidden, inputs]), ("fc2.weight", [outputs, options.hidden])]
        case .cosine: shapes = [("weight", [outputs, inputs]), ("gain", [1])]
        }
        if options.bias || options.kind == .prototypes { shapes.append(("bias", [self.owners.count])) }
        var next = offset
        tensors = shapes.map { name, shape in
            let count = shape.reduce(1, *)
            defer { next += count }
            return Tensor(name: name, shape: shape, range: next..<next + count)
        }
    }

    func tensor(_ name: String) -> Tensor? { tensors.first { $0.name == name } }

    private func start(_ name: String) -> Int? { tensor(name)?.range.lowerBound }

    // MARK: Forward

    /// Scores of one normalised row.
    ///
    /// - Parameters:
    ///   - u: receives the units [units].
    ///   - z: receives the scores [outputs].
    func forward(
        _ parameters: UnsafePointer<Double>, _ x: UnsafePointer<Double>, units u: UnsafeMutablePointer<Double>,
        scores z: UnsafeMutablePointer<Double>
    ) {
        switch kind {
        case .linear, .prototypes:
            product(parameters + offset, rows: units, x, into: u)
        case .mlp:
            withUnsafeTemporaryAllocation(of: Double.self, capacity: hidden) { buffer in
                guard let h = buffer.baseAddress else { return }
                product(parameters + offset, rows: hidden, x, into: h)
                for i in 0..<hidden { h[i] = h[i] * sigmoid(h[i]) }
                let second = parameters + offset + hidden * inputs
                for o in 0..<outputs { u[o] = RowKernel.dot(hidden, second + o * hidden, h) }
            }
        case .cosine:
            let length = RowKernel.dot(inputs, x, x).squareRoot()
            let gain = parameters[offset + outputs * inputs]
            for o in 0..<outputs {
                let row = parameters + offset + o * inputs
                let own = RowKernel.dot(inputs, row, row).squareRoot()
                u[o] = length > 0 && own > 0 ? gain * RowKernel.dot(inputs, row, x) / (length * own) : 0
            }
        }
        if let bias = start("bias") { for i in 0..<units { u[i] += parameters[bias + i] } }
        guard kind == .prototypes else {
            z.update(from: u, count: outputs)
            return
        }
        gather(u, into: z)
    }

    /// z_o = ln Σ_{j of o} exp u_j; an output without units scores −∞ (a large negative number).
    private func gather(_ u: UnsafePointer<Double>, into z: UnsafeMutablePointer<Double>) {
        for o in 0..<outputs {
            var top = -Double.infinity
            for (j, owner) in owners.enumerated() where owner == o { top = max(top, u[j]) }
            var sum = 0.0
            for (j, owner) in owners.enumerated() where owner == o { sum += exp(u[j] - top) }
            z[o] = sum > 0 ? top + log(sum) : -1e9
        }
    }

    private func product(
        _ matrix: UnsafePointer<Double>, rows: Int, _ x: UnsafePointer<Double>, into y: UnsafeMutablePointer<Double>
    ) {
        for row in 0..<rows { y[row] = RowKernel.dot(inputs, matrix + row * inputs, x) }
    }

    private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

    // MARK: Backward

    /// Gradients of one row.
    ///
    /// - Parameters:
    ///   - u, z: as `forward` left them.
    ///   - du: ∂L/∂u that comes from elsewhere [units]; nil: none.
    ///   - gradient: of the whole model's parameters; added to.
    ///   - dx: ∂L/∂(normalised row) [inputs]; added to.
    func backward(
        _ parameters: UnsafePointer<Double>, _ x: UnsafePointer<Double>, units u: UnsafePointer<Double>,
        scores z: UnsafePointer<Double>, dz: UnsafePointer<Double>, du extra: UnsafePointer<Double>?,
        gradient: UnsafeMutablePointer<Double>, dx: UnsafeMutablePointer<Double>?
    ) {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: units) { buffer in
            guard let du = buffer.baseAddress else { return }
            for j in 0..<units {
                let o = owners[j]
                let share = kind == .prototypes ? exp(u[j] - z[o]) : 1
                du[j] = dz[o] * share + (extra?[j] ?? 0)
            }
            if let bias = start("bias") { for j in 0..<units { gradient[bias + j] += du[j] } }
            switch kind {
            case .linear, .prototypes: productBackward(parameters, x, du, rows: units, gradient, dx)
            case .mlp: mlpBackward(parameters, x, du, gradient, dx)
            case .cosine: cosineBackward(parameters, x, du, gradient, dx)
            }
        }
    }

    private func productBackward(
        _ parameters: UnsafePointer<Double>, _ x: UnsafePointer<Double>, _ du: UnsafePointer<Double>, rows: Int,
        _ gradient: UnsafeMutablePointer<Double>, _ dx: UnsafeMutablePointer<Double>?
    ) {
        for row in 0..<rows where du[row] != 0 {
            RowKernel.add(inputs, du[row], x, to: gradient + offset + row * inputs)
            if let dx { RowKernel.add(inputs, du[row], parameters + offset + row * inputs, to: dx) }
        }
    }

    private func mlpBackward(
        _ parameters: UnsafePointer<Double>, _ x: UnsafePointer<Double>, _ du: UnsafePointer<Double>,
        _ gradient: UnsafeMutablePointer<Double>, _ dx: UnsafeMutablePointer<Double>?
    ) {
        let second = offset + hidden * inputs
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 3 * hidden) { buffer in
            guard let h = buffer.baseAddress else { return }
            let (active, dh) = (h + hidden, h + 2 * hidden)
            product(parameters + offset, rows: hidden, x, into: h)
            for i in 0..<hidden { active[i] = h[i] * sigmoid(h[i]) }
            dh.update(repeating: 0, count: hidden)
            for o in 0..<outputs {
                RowKernel.add(hidden, du[o], active, to: gradient + second + o * hidden)
                RowKernel.add(hidden, du[o], parameters + second + o * hidden, to: dh)
            }
            for i in 0..<hidden {
                let s = sigmoid(h[i])
                dh[i] *= s * (1 + h[i] * (1 - s))
            }
            productBackward(parameters, x, dh, rows: hidden, gradient, dx)
        }
    }

    private func cosineBackward(
        _ parameters: UnsafePointer<Double>, _ x: UnsafePointer<Double>, _ du: UnsafePointer<Double>,
        _ gradient: UnsafeMutablePointer<Double>, _ dx: UnsafeMutablePointer<Double>?
    ) {
        let length = RowKernel.dot(inputs, x, x).squareRoot()
        let gainPlace = offset + outputs * inputs
        let gain = parameters[gainPlace]
        guard length > 0 else { return }
        for o in 0..<outputs {
            let row = parameters + offset + o * inputs
            let own = RowKernel.dot(inputs, row, row).squareRoot()
            guard own > 0 else { continue }
            let cosine = RowKernel.dot(inputs, row, x) / (length * own)
            gradient[gainPlace] += du[o] * cosine
            let slope = du[o] * gain
            // ∂cos/∂ρ = (x̂ − cos·ρ̂)/‖ρ‖, and the same with the roles exchanged.
            let target = gradient + offset + o * inputs
            RowKernel.add(inputs, slope / (length * own), x, to: target)
            RowKernel.add(inputs, -slope * cosine / (own * own), row, to: target)
            guard let dx else { continue }
            RowKernel.add(inputs, slope / (length * own), row, to: dx)
            RowKernel.add(inputs, -slope * cosine / (length * length), x, to: dx)
        }
    }
}
