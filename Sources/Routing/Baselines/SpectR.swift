import Diagnostics
import Networks
import Synchronization
import Tensors

/// SpectR: each token goes to the experts whose update moves it most (section 7.3). z_e = ‖ΔW_e·x‖ by C_e = s·R_B·A with
/// ‖C_e·x‖ = ‖ΔW_e·x‖. Large updates win by size alone, so the score is also tried divided by ‖ΔW_e‖_F and by its mean
/// over calibration inputs; size, K and divisor are chosen on validation samples.
struct SpectR: RoutingBaseline {
    enum Divisor: String, CaseIterable {
        case frobenius = "divided by the update's norm"
        case none = "as it is"
        case calibrated = "divided by its mean over training inputs"
    }

    let id = "spectr"
    let summary = "per token: experts by the length of their update ‖ΔW x‖"
    let needsTraining = false

    private struct Setting {
        var k: Int
        var divisor: Divisor
    }

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        let tables = try Self.tables(context)
        let sizes = [3, 2, 1].filter { $0 <= context.experts.count }
        let settings = Divisor.allCases.filter { tables[$0] != nil }.flatMap { divisor in
            (sizes.isEmpty ? [context.experts.count] : sizes).map { Setting(k: $0, divisor: divisor) }
        }
        func subject(_ setting: Setting) -> RoutingSubject? {
            guard let table = tables[setting.divisor] else { return nil }
            let router = ScoreRouter(table, experts: context.experts.count, k: setting.k)
            return RoutingSubject(label: id, kind: .router(router), perSite: true)
        }
        guard let best = try context.chosen(settings, subject), let subject = subject(best) else { return [] }
        // Calibration depends on the training inputs, so that its predictions are not the same every time.
        let fixed = best.divisor == .calibrated ? nil : "spectr k=\(best.k) \(best.divisor)"
        return [
            RoutedResult(
                try context.book.predictions(subject, fixed: fixed),
                detail: "k = \(best.k), \(best.divisor.rawValue)" + context.choiceNote)
        ]
    }

    private static func tables(_ context: BaselineContext) throws -> [Divisor: [ExpertSite.Key: any SiteScores]] {
        let plain = try scores(context.experts)
        var result: [Divisor: [ExpertSite.Key: any SiteScores]] = [
            .none: plain, .frobenius: plain.mapValues { $0.divided(by: $0.norms) },
        ]
        if let training = context.training {
            let calibration = TrainingChoice.spread(
                Array(training.domains.indices), groups: training.domains, count: 200, seed: context.seed)
            let means = try Self.means(plain, context, calibration)
            result[.calibrated] = plain.reduce(into: [:]) { result, entry in
                result[entry.key] = entry.value.divided(by: means[entry.key] ?? [])
            }
        }
        return result
    }

    static func scores(_ experts: RoutedExperts) throws -> [ExpertSite.Key: SpectRScores] {
        var result: [ExpertSite.Key: SpectRScores] = [:]
        for site in try ExpertSite.all(experts) {
            result[site.key] = SpectRScores(
                cores: try zip(site.pairs, experts.slots).map { pair, slot in
                    try pair.map { try FactorPair($0, of: slot).reduced() }
                })
        }
        return result
    }

    /// Mean score of each expert at each site over the tokens of some training samples, on the frozen backbone's path.
    static func means(
        _ tables: [ExpertSite.Key: SpectRScores], _ context: BaselineContext, _ positions: [Int]
    ) throws -> [ExpertSite.Key: [Double]] {
        guard let training = context.training else { return [:] }
        let experts = context.experts
        let watch = ScoreWatch(tables, experts: experts.count)
        let backbone = experts.backbone
        _ = try backbone.features(
            training.samples.encoded.input(positions), pooling: context.evaluation.loaded.suite.feature,
            mix: experts.mix(perSite: true), coefficients: .routed(watch), threads: context.evaluation.threads)
        return watch.means()
    }
}

struct SpectRScores: SiteScores {
    /// C [rank, inputs] of each expert.
    let cores: [Matrix<Double>?]
    var divisors: [Double] = []

    init(cores: [Matrix<Double>?]) { self.cores = cores }

    var covered: [Bool] { cores.map { $0 != nil } }
    /// ‖ΔW‖_F of each expert.
    var norms: [Double] { cores.map { $0?.frobeniusNorm ?? 0 } }

    func divided(by divisors: [Double]) -> SpectRScores {
        var result = self
        result.divisors = divisors
        return result
    }

    func score(_ x: UnsafePointer<Double>, into z: UnsafeMutablePointer<Double>) {
        for (expert, core) in cores.enumerated() {
            guard let core else { continue }
            let squares = core.elements.withUnsafeBufferPointer { c -> Double in
                guard let c = c.baseAddress else { return 0 }
                return (0..<core.rows).reduce(0.0) { sum, row in
                    let h = RowKernel.dot(core.columns, c + row * core.columns, x)
                    return sum + h * h
                }
            }
            let divisor = divisors.isEmpty ? 1 : divisors[expert]
            z[expert] = divisor > 0 ? squares.squareRoot() / divisor : 0
        }
    }
}

/// Mixes nothing and sums the scores that tokens have; each block of rows stands alone, so that threads do not matter.
private final class ScoreWatch: SiteRouter {
    typealias S = Float

    private struct Place: Hashable {
        let key: ExpertSite.Key
        let row: Int
    }

    private let tables: [ExpertSite.Key: SpectRScores]
    private let experts: Int
    private let sums = Mutex<[Place: (sums: [Double], rows: Int)]>([:])

    init(_ tables: [ExpertSite.Key: SpectRScores], experts: Int) {
        self.tables = tables
        self.experts = experts
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<Float>, into weights: UnsafeMutablePointer<Float>) {
        weights.update(repeating: 0, count: rows.count * rows.columns)
        var z = [Double](repeating: 0, count: experts)
        for site in 0..<rows.columns / experts {
            let key = ExpertSite.Key(layer: point.layer, group: point.group, kind: site)
            guard let table = tables[key] else { continue }
            var sum = [Double](repeating: 0, count: experts)
            for row in 0..<rows.count {
                let x = (0..<rows.width).map { Double(rows.input[row * rows.stride + $0]) }
                x.withUnsafeBufferPointer { x in
                    z.withUnsafeMutableBufferPointer { z in
                        if let x = x.baseAddress, let z = z.baseAddress { table.score(x, into: z) }
                    }
                }
                for expert in 0..<experts { sum[expert] += z[expert] }
            }
            sums.withLock { $0[Place(key: key, row: rows.firstRow)] = (sum, rows.count) }
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<Float>, weights: UnsafePointer<Float>,
        weightGradient: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
    ) {}

    func means() -> [ExpertSite.Key: [Double]] {
        sums.withLock { sums in
            Dictionary(grouping: sums) { $0.key.key }.mapValues { entries in
                let ordered = entries.sorted { $0.key.row < $1.key.row }
                let rows = Double(max(1, ordered.reduce(0) { $0 + $1.value.rows }))
                return (0..<experts).map { expert in
                    ordered.reduce(0.0) { $0 + $1.value.sums[expert] } / rows
                }
            }
        }
    }
}
