import Diagnostics
import LinearAlgebra
import Networks
import Tensors

/// First values of a model's parameters.
struct RouterInitialisation {
    private static let deviation = 0.02

    let model: RouterModel
    let seed: UInt64

    /// - Parameters:
    ///   - means: per unit a row of the training data, for `means`; nil where there is none.
    func run(slots: [LoRASlot<Float>], means: (() throws -> [[Double]?])? = nil) throws {
        for network in model.networks { start(network) }
        switch model.options.initialisation {
        case .normal, .zeros: return
        case .arrow: for network in model.networks { try setRows(network, Self.arrowRows(network, slots)) }
        case .means:
            guard let means, let network = model.networks.first else { return }
            setRows(network, try means())
        }
    }

    /// Normal numbers, or zeros; κ begins as `gain`.
    private func start(_ network: RouterNetwork) {
        for tensor in network.tensors {
            switch tensor.name {
            case "gain": model.parameters[tensor.range.lowerBound] = model.options.gain
            case "bias": continue
            default:
                // Zero rows of a cosine have no direction, a hidden layer of zeros no gradient.
                let keepsZero = model.options.initialisation == .zeros && network.kind != .cosine
                if keepsZero, tensor.name != "fc1.weight" { continue }
                let random = CounterRandom(seed: seed, stream: "router", "initialisation", network.id, tensor.name)
                let numbers = random.normalMatrix(rows: 1, columns: tensor.range.count).elements
                for (place, number) in zip(tensor.range, numbers) {
                    model.parameters[place] = Self.deviation * Double(number)
                }
            }
        }
    }

    private func setRows(_ network: RouterNetwork, _ rows: [[Double]?]) {
        guard let weight = network.tensor("weight") else { return }
        let factor = network.kind == .cosine ? 1 : model.options.gain
        for (unit, row) in rows.enumerated() {
            guard let row else { continue }
            for (i, number) in row.enumerated() {
                model.parameters[weight.range.lowerBound + unit * network.inputs + i] = factor * number
            }
        }
    }

    /// The first right singular vector of each expert's B·A at the network's first site (section 7.2).
    private static func arrowRows(
        _ network: RouterNetwork, _ slots: [LoRASlot<Float>]
    ) throws -> [[Double]?] {
        try slots.map { slot in
            guard let pair = slot.pairs.first(where: { network.sites.contains($0.site) }) else { return nil }
            let a = Matrix(rows: pair.rank, columns: pair.inputs, elements: slot.a(pair).map(Double.init))
            let b = Matrix(rows: pair.outputs, columns: pair.rank, elements: slot.b(pair).map(Double.init))
            // B = Q·R, and Q does not change right singular vectors.
            let core = try multiply(pair.outputs >= pair.rank ? thinQR(b).r : b, a)
            return Array(try thinSVD(core).vt.rows(0..<1).elements)
        }
    }
}
