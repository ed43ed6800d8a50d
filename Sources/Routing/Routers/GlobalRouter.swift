import Networks
import Tensors

/// The one router of scope `global`: it reads what the frozen backbone makes of a sample.
public final class GlobalRouter: FrozenRouter {
    public let model: RouterModel
    public let rule: MixingRule

    public init(_ model: RouterModel, routing: RoutingOptions) {
        self.model = model
        rule = MixingRule(
            routing, temperature: model.options.temperature, experts: model.experts,
            nullExpert: model.options.nullExpert)
    }

    public func coefficients(_ pass: FrozenPass) throws -> Coefficients<Float> {
        let read = try GlobalInput.rows(model, pass)
        let weights = weights(read.values)
        return read.isPerSample ? .perSample(weights) : .perRow(weights)
    }

    /// Weights [rows, experts] of input rows [rows, width].
    public func weights(_ rows: Matrix<Float>) -> [Float] {
        let decision = decide(rows)
        let outputs = model.outputs
        return (0..<rows.rows).flatMap { row in
            (0..<model.experts).map { Float(decision.w[row * outputs + $0]) }
        }
    }

    func decide(_ rows: Matrix<Float>) -> Decision {
        var x = rows.elements.map(Double.init)
        return x.withUnsafeMutableBufferPointer { buffer in
            model.decide(0, buffer, rows: rows.rows, rule: rule) { _ in nil }
        }
    }
}

/// What a global router reads.
enum GlobalInput {
    /// One row per sample, or per token.
    static func rows(_ model: RouterModel, _ pass: FrozenPass) throws -> (values: Matrix<Float>, isPerSample: Bool) {
        let options = model.options
        if options.granularity == .sequence, options.layer == nil { return (try pass.features(), true) }
        let width = pass.backbone.description.width
        let lengths = try pass.backbone.lengths(of: pass.input)
        let hidden: [Float]
        if let layer = options.layer {
            hidden = try pass.backbone.prefix(of: pass.input, through: layer, threads: pass.threads).rows
        } else {
            hidden = try pass.backbone.hiddenStates(pass.input, threads: pass.threads)
        }
        let all = Matrix(rows: lengths.reduce(0, +), columns: width, elements: hidden)
        if options.granularity == .token { return (all, false) }
        var means = Matrix<Float>(rows: lengths.count, columns: width)
        var row = 0
        for (sample, length) in lengths.enumerated() {
            var sum = [Double](repeating: 0, count: width)
            for _ in 0..<length {
                for i in 0..<width { sum[i] += Double(all[row, i]) }
                row += 1
            }
            for i in 0..<width { means[sample, i] = Float(sum[i] / Double(max(1, length))) }
        }
        return (means, true)
    }
}
