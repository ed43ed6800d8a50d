/// One router's decisions over some rows.
struct Decision {
    let rows: Int
    /// [rows, units] and [rows, outputs] each.
    var u: [Double]
    var z: [Double]
    var p: [Double]
    var logP: [Double]
    /// Mixing weights [rows, outputs], the null expert's included.
    var w: [Double]
}

extension RouterModel {
    /// Scores, probabilities and weights of rows.
    ///
    /// - Parameters:
    ///   - input: [rows, inputs], before the norm; normalised in place.
    ///   - domain: expert of each row's task, for mode `hard`.
    func decide(
        _ index: Int, _ input: UnsafeMutableBufferPointer<Double>, rows: Int, rule: MixingRule, domain: (Int) -> Int?
    ) -> Decision {
        let network = networks[index]
        let outputs = network.outputs
        let zeros = [Double](repeating: 0, count: rows * outputs)
        var result = Decision(
            rows: rows, u: Array(repeating: 0, count: rows * network.units), z: zeros, p: zeros, logP: zeros, w: zeros)
        guard let parameters = parameters.baseAddress, let x = input.baseAddress else { return result }
        result.u.withUnsafeMutableBufferPointer { u in
            result.z.withUnsafeMutableBufferPointer { z in
                guard let u = u.baseAddress, let z = z.baseAddress else { return }
                for row in 0..<rows {
                    let line = x + row * network.inputs
                    RowNorm.forward(network.norm, line, count: network.inputs)
                    network.forward(parameters, line, units: u + row * network.units, scores: z + row * outputs)
                }
            }
        }
        result.mix(network, rule, domain)
        return result
    }

    /// Adds gradients of rows that `decide` decided.
    ///
    /// - Parameters:
    ///   - raw: [rows, inputs], before the norm.
    ///   - dz, du: ∂L/∂z [rows, outputs], ∂L/∂u [rows, units] (nil: zeros).
    ///   - gradient: of all parameters.
    ///   - dx: ∂L/∂raw [rows, inputs], added to; nil: nobody needs it.
    func learn(
        _ index: Int, raw: UnsafePointer<Double>, decision: Decision, dz: UnsafePointer<Double>,
        du: UnsafePointer<Double>?, gradient: UnsafeMutablePointer<Double>, dx: UnsafeMutablePointer<Double>?
    ) {
        let network = networks[index]
        let width = network.inputs
        guard let parameters = parameters.baseAddress else { return }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * width) { buffer in
            guard let x = buffer.baseAddress else { return }
            let slope = x + width
            for row in 0..<decision.rows {
                x.update(from: raw + row * width, count: width)
                RowNorm.forward(network.norm, x, count: width)
                slope.update(repeating: 0, count: width)
                decision.u.withUnsafeBufferPointer { u in
                    decision.z.withUnsafeBufferPointer { z in
                        guard let u = u.baseAddress, let z = z.baseAddress else { return }
                        network.backward(
                            parameters, x, units: u + row * network.units, scores: z + row * network.outputs,
                            dz: dz + row * network.outputs, du: du.map { $0 + row * network.units },
                            gradient: gradient, dx: dx == nil ? nil : slope)
                    }
                }
                guard let dx else { continue }
                RowNorm.backward(network.norm, raw + row * width, gradient: slope, count: width)
                RowKernel.add(width, 1, slope, to: dx + row * width)
            }
        }
    }
}

extension Decision {
    fileprivate mutating func mix(_ network: RouterNetwork, _ rule: MixingRule, _ domain: (Int) -> Int?) {
        let outputs = network.outputs
        z.withUnsafeBufferPointer { z in
            p.withUnsafeMutableBufferPointer { p in
                logP.withUnsafeMutableBufferPointer { logP in
                    w.withUnsafeMutableBufferPointer { w in
                        guard let z = z.baseAddress, let p = p.baseAddress, let logP = logP.baseAddress,
                            let w = w.baseAddress
                        else { return }
                        for row in 0..<rows {
                            let first = row * outputs
                            rule.probabilities(z + first, covered: network.covered, p: p + first, logP: logP + first)
                            rule.weights(
                                p: p + first, logP: logP + first, domain: domain(row), into: w + first)
                        }
                    }
                }
            }
        }
    }
}
