/// The decisions of one router over a batch: what losses look at and where their gradients go.
///
/// A row is a token, or a sample where routers decide per sequence.
public struct RouterBatch {
    public let rows: Int
    /// Experts and the null expert.
    public let outputs: Int
    public let units: Int
    public let temperature: Double
    /// K, for loads that count the chosen.
    public let active: Int
    /// [rows, outputs] each.
    public internal(set) var z: [Double]
    public internal(set) var p: [Double]
    /// −∞ for outputs that are masked out.
    public internal(set) var logP: [Double]
    /// [rows, units].
    public internal(set) var u: [Double]
    /// Where each sample's rows begin, and the end.
    public internal(set) var offsets: [Int]
    /// Rows that count; nil: all.
    public var mask: [Bool]?
    /// Expert of each sample's task; empty or nil where unknown.
    public var domains: [Int?] = []
    /// The unit of each sample's class, for `prototypes`.
    public var labels: [Int?] = []
    /// ∂L/∂z [rows, outputs] and ∂L/∂u [rows, units] of the losses; both are added to.
    public internal(set) var dz: [Double]
    public internal(set) var du: [Double]

    public init(rows: Int, outputs: Int, units: Int, temperature: Double, active: Int, offsets: [Int]) {
        self.rows = rows
        self.outputs = outputs
        self.units = units
        self.temperature = temperature
        self.active = active
        self.offsets = offsets
        z = Array(repeating: 0, count: rows * outputs)
        (p, logP, dz) = (z, z, z)
        u = Array(repeating: 0, count: rows * units)
        du = u
    }

    public func counts(_ row: Int) -> Bool { mask?[row] ?? true }

    /// M: rows that count.
    public var counted: Int { mask?.reduce(0) { $0 + ($1 ? 1 : 0) } ?? rows }

    /// The sample that a row belongs to.
    public var sampleOfRow: [Int] {
        (0..<max(0, offsets.count - 1)).flatMap { sample in
            Array(repeating: sample, count: offsets[sample + 1] - offsets[sample])
        }
    }

    /// p̄ over some rows (of those that count).
    func meanProbability(_ range: Range<Int>) -> (mean: [Double], count: Int) {
        var sum = [Double](repeating: 0, count: outputs)
        var count = 0
        for row in range where counts(row) {
            count += 1
            for i in 0..<outputs { sum[i] += p[row * outputs + i] }
        }
        return (sum.map { $0 / Double(max(1, count)) }, count)
    }

    /// Adds the chain through softmax with temperature of ∂L/∂p = `g` to a row's ∂L/∂z, times `scale`.
    mutating func addChain(row: Int, scale: Double, _ g: (Int) -> Double) {
        let first = row * outputs
        var mean = 0.0
        for j in 0..<outputs where p[first + j] > 0 { mean += p[first + j] * g(j) }
        for i in 0..<outputs where p[first + i] > 0 {
            dz[first + i] += scale / temperature * p[first + i] * (g(i) - mean)
        }
    }

    /// The K likeliest of a row; the lower index wins a tie.
    func chosen(_ row: Int, _ k: Int) -> [Int] {
        let first = row * outputs
        return Array(
            (0..<outputs).filter { p[first + $0] > 0 }.sorted { (-logP[first + $0], $0) < (-logP[first + $1], $1) }
                .prefix(k))
    }

    /// H(p) of a row in nats.
    func entropy(_ row: Int) -> Double {
        let first = row * outputs
        var sum = 0.0
        for i in 0..<outputs where p[first + i] > 0 { sum -= p[first + i] * logP[first + i] }
        return sum
    }
}
