import Adapters
import Diagnostics
import LinearAlgebra
import Networks
import Tensors
import WeightFiles

/// Turns a router into one static adapter: the mean weight w̄ of each expert at each site over calibration samples, then
/// ΔW = Σ_e w̄_e s_e B_e A_e (LoRA-Mixer reference, section 6, item 5).
public struct StaticCollapse {
    /// Mean weight [expert] of each site that an expert has.
    public let weights: [SiteID: [Double]]
    private let experts: RoutedExperts

    /// - Parameter samples: calibration samples.
    public init(
        _ evaluation: RoutedEvaluation, router: TrainedRouter, _ samples: RoutedSamples,
        progress: any ProgressReporting = SilentProgress(), isCancelled: () -> Bool = { false }
    ) throws {
        experts = evaluation.experts
        let count = experts.count
        var sums: [String: (w: [Double], rows: Int)] = [:]
        try TracedPass(evaluation, router: router).run(samples, progress: progress, isCancelled: isCancelled) { trace in
            for site in trace.sites {
                var entry = sums[site.router] ?? (Array(repeating: 0, count: count), 0)
                for (index, w) in site.w.enumerated() { entry.w[index % count] += Double(w) }
                entry.rows += site.rows
                sums[site.router] = entry
            }
        }
        var weights: [SiteID: [Double]] = [:]
        for network in router.model.networks {
            guard let entry = sums[network.id], entry.rows > 0 else { continue }
            let mean = entry.w.map { $0 / Double(entry.rows) }
            for site in network.sites.isEmpty ? Set(experts.slots.flatMap(\.sites)) : Set(network.sites) {
                weights[site] = mean
            }
        }
        self.weights = weights
    }

    /// Mean weight of each expert over all sites.
    public var load: [Double] {
        (0..<experts.count).map { expert in
            weights.values.reduce(0.0) { $0 + $1[expert] } / Double(max(1, weights.count))
        }
    }

    /// The static adapter, with the module names of the first expert that has the module.
    ///
    /// - Parameter rank: at most so many directions per module (truncated SVD); nil: the sum of the experts' ranks.
    /// - Throws: `merge.*` for factors that are not finite.
    public func adapter(rank: Int? = nil) throws -> Adapter {
        var modules: [LoRAModule] = []
        for site in Set(experts.slots.flatMap(\.sites)).sorted() {
            guard let w = weights[site] else { continue }
            var parts: [(a: Matrix<Double>, b: Matrix<Double>)] = []
            var template: LoRAModule?
            for (expert, slot) in experts.slots.enumerated() {
                guard let pair = slot.pairs.first(where: { $0.site == site }) else { continue }
                let factors = FactorPair(pair, of: slot)
                parts.append((factors.a, factors.b.scaled(by: factors.scale * w[expert])))
                if template == nil {
                    template = experts.experts[expert].adapter.modules.first {
                        experts.backbone.description.siteMap.site(forModule: $0.name) == site
                    }
                }
            }
            guard let template else { continue }
            var a = Matrix.stacked(parts.map(\.a))
            var b = Matrix.sideBySide(parts.map(\.b))
            if let rank, rank < a.rows { (a, b) = try Self.truncated(a, b, rank: rank) }
            modules.append(try Self.module(template, a: a, b: b))
        }
        let first = experts.experts[0].adapter
        return Adapter(
            modules: modules, saved: [], base: first.base, format: "peft", configuration: first.configuration,
            findings: [])
    }

    /// The best approximation of B·A of a rank, from the SVD of the small core.
    private static func truncated(
        _ a: Matrix<Double>, _ b: Matrix<Double>, rank: Int
    ) throws -> (Matrix<Double>, Matrix<Double>) {
        let left = try thinQR(b)
        let right = try thinQR(a.transposed())
        let svd = try thinSVD(multiply(left.r, right.r, transposeB: true)).truncated(to: rank)
        let roots = svd.sigma.map { $0.squareRoot() }
        return (
            try multiply(svd.vt, right.q, transposeB: true).scalingRows(by: roots),
            try multiply(left.q, svd.u).scalingColumns(by: roots)
        )
    }

    private static func module(_ template: LoRAModule, a: Matrix<Double>, b: Matrix<Double>) throws -> LoRAModule {
        func tensor(_ name: String, _ matrix: Matrix<Double>) throws -> TensorView {
            let buffer = try TensorBuffer(name: name, dtype: .f32, shape: [matrix.rows, matrix.columns])
            _ = try matrix.inFloat.elements.withUnsafeBufferPointer { try buffer.write($0) }
            return buffer.view
        }
        return LoRAModule(
            name: template.name, kind: .linear, dOut: b.rows, dIn: a.columns, rank: a.rows, scale: 1,
            alpha: Double(a.rows), a: try tensor("lora_A", a), b: try tensor("lora_B", b),
            deltaShape: template.deltaShape)
    }
}
