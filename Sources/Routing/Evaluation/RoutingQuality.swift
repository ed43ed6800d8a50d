import Evaluation
import Foundation

/// How a router shares its experts, from every decision over some samples (LoRA-Mixer reference, section 8, item 3).
public struct RoutingQuality: Sendable {
    /// Mean probability p̄ and share of first places f̄ of each expert, over all decisions.
    public let importance: [Double]
    public let usage: [Double]
    /// Mean mixing weight of each expert.
    public let load: [Double]
    /// Mean entropy of a decision, in nats; and divided by ln E.
    public let entropy: Double
    public let relativeEntropy: Double
    /// Largest mean weight divided by the mean, and the coefficient of variation.
    public let maximumToMean: Double
    public let variation: Double
    /// S[task][expert]: mean weight over the decisions about a task's samples; empty rows without samples.
    public let specialisation: [[Double]]
    /// I(task; expert) from S, in nats, with the tasks as frequent as among the samples.
    public let taskInformation: Double
    /// I(input; expert) = H(p̄) − mean H(p), averaged over routers, in nats.
    public let inputInformation: Double
    /// E‖p − p̄‖², averaged over routers: 0 when decisions do not depend on the input.
    public let inputVariance: Double
    /// Share of samples whose expert of largest mean weight is that of their task; nil without tasks.
    public let oracleAgreement: Double?
    /// e to the entropy of the mean weights: E when all are used alike, 1 when one does everything.
    public let effectiveExperts: Double

    /// Experts that the samples call for: those of tasks that have samples.
    public let expectedExperts: Int

    /// Fewer than half of the experts that the samples call for do the work.
    public var isCollapsed: Bool { expectedExperts > 1 && effectiveExperts < 0.5 * Double(expectedExperts) }
}

/// Collects ``RoutingQuality`` sample by sample.
public struct RoutingQualityTally: Sendable {
    private struct RouterSums: Sendable {
        var rows = 0
        var p: [Double]
        var squares = 0.0
        var entropy = 0.0
    }

    private let experts: Int
    private let tasks: ExpertTasks
    private var routers: [String: RouterSums] = [:]
    private var first: [Double]
    private var load: [Double]
    private var rows = 0
    private var table: [[Double]]
    private var tableRows: [Int]
    private var counts: [Int]
    private var agreeing = 0
    private var judged = 0

    public init(experts: Int, tasks: ExpertTasks) {
        self.experts = experts
        self.tasks = tasks
        let zeros = [Double](repeating: 0, count: experts)
        (first, load) = (zeros, zeros)
        table = Array(repeating: zeros, count: tasks.expertOfTask.count)
        tableRows = Array(repeating: 0, count: tasks.expertOfTask.count)
        counts = tableRows
    }

    /// - Parameter task: of the sample.
    public mutating func add(_ trace: SampleTrace, task: Int?) {
        var sampleLoad = [Double](repeating: 0, count: experts)
        var sampleRows = 0
        for site in trace.sites {
            var sums = routers[site.router] ?? RouterSums(p: Array(repeating: 0, count: experts))
            for row in 0..<site.rows {
                var best = 0
                for expert in 0..<experts {
                    let p = Double(site.p[row * experts + expert])
                    sums.p[expert] += p
                    sums.squares += p * p
                    sampleLoad[expert] += Double(site.w[row * experts + expert])
                    if site.p[row * experts + expert] > site.p[row * experts + best] { best = expert }
                }
                first[best] += 1
                sums.entropy += site.entropy(row)
            }
            sums.rows += site.rows
            sampleRows += site.rows
            routers[site.router] = sums
        }
        rows += sampleRows
        for expert in 0..<experts { load[expert] += sampleLoad[expert] }
        guard let task else { return }
        counts[task] += 1
        tableRows[task] += sampleRows
        for expert in 0..<experts { table[task][expert] += sampleLoad[expert] }
        guard let oracle = tasks.expertOfTask[task] else { return }
        judged += 1
        let strongest = (0..<experts).min { (-sampleLoad[$0], $0) < (-sampleLoad[$1], $1) }
        if strongest == oracle { agreeing += 1 }
    }

    public var quality: RoutingQuality {
        let n = Double(max(1, rows))
        let sums = routers.sorted { $0.key < $1.key }.map(\.value)
        let importance = (0..<experts).map { expert in sums.reduce(0.0) { $0 + $1.p[expert] } / n }
        let load = load.map { $0 / n }
        let entropy = sums.reduce(0.0) { $0 + $1.entropy } / n
        let mean = load.reduce(0, +) / Double(max(1, experts))
        let spread = (load.reduce(0.0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, experts))).squareRoot()
        let specialisation = zip(table, tableRows).map { row, count in
            count > 0 ? row.map { $0 / Double(count) } : []
        }
        var information = 0.0
        var variance = 0.0
        for router in sums where router.rows > 0 {
            let r = Double(router.rows)
            let centre = router.p.map { $0 / r }
            information += Self.entropy(centre) - router.entropy / r
            variance += router.squares / r - centre.reduce(0) { $0 + $1 * $1 }
        }
        let routerCount = Double(max(1, sums.count))
        let needed = Set(counts.indices.filter { counts[$0] > 0 }.compactMap { tasks.expertOfTask[$0] })
        return RoutingQuality(
            importance: importance, usage: first.map { $0 / n }, load: load, entropy: entropy,
            relativeEntropy: experts > 1 ? entropy / log(Double(experts)) : 0,
            maximumToMean: mean > 0 ? (load.max() ?? 0) / mean : 0, variation: mean > 0 ? spread / mean : 0,
            specialisation: specialisation,
            taskInformation: RoutingSummary.information(specialisation, counts),
            inputInformation: max(0, information / routerCount), inputVariance: max(0, variance / routerCount),
            oracleAgreement: judged > 0 ? Double(agreeing) / Double(judged) : nil,
            effectiveExperts: exp(Self.entropy(load)), expectedExperts: needed.isEmpty ? experts : needed.count)
    }

    /// Entropy of numbers after division by their sum, in nats.
    private static func entropy(_ values: [Double]) -> Double {
        let total = values.reduce(0, +)
        guard total > 0 else { return 0 }
        return values.reduce(0.0) { $0 - ($1 > 0 ? $1 / total * log($1 / total) : 0) }
    }
}
