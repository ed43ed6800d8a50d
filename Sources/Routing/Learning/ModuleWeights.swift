import Diagnostics
import Networks

/// An expert at one of its sites.
struct ExpertPair: Hashable, Sendable {
    var expert: Int
    var site: SiteID
}

/// One weight per expert and linear, the same for every token: what a `cat` merge with a weight per module does, before
/// it is merged. Weights that are not listed are zero and stay so.
final class ModuleWeights<S: NetworkScalar>: SiteRouter, @unchecked Sendable {
    private typealias Sums = UnsafeMutablePointer<Double>

    private struct Point: Hashable {
        var layer: Int
        var group: Int
    }

    /// Weights in the order of `keys`. Written between passes only.
    let values: UnsafeMutableBufferPointer<Double>
    let gradient: UnsafeMutableBufferPointer<Double>
    let keys: [ExpertPair]
    /// Index of the weight in each column of a linear's coefficients (site-major, then expert); −1: none.
    private var columns: [Point: [Int]] = [:]
    private let sums: [Sums]

    /// - Parameters:
    ///   - initial: the weights to begin with, for the sites that experts have a pair at.
    ///   - experts: how many there are.
    /// - Throws: `backbone.adapter_mismatch` for a site that the backbone lacks.
    init(_ initial: [ExpertPair: Double], experts: Int, on backbone: BackboneDescription) throws {
        let keys = initial.keys.sorted { ($0.site, $0.expert) < ($1.site, $1.expert) }
        self.keys = keys
        values = .allocate(capacity: max(1, keys.count))
        gradient = .allocate(capacity: max(1, keys.count))
        values.initialize(repeating: 0)
        gradient.initialize(repeating: 0)
        sums = (0..<ForwardPass<S>.accumulators).map { _ in
            let buffer = Sums.allocate(capacity: max(1, keys.count))
            buffer.initialize(repeating: 0, count: max(1, keys.count))
            return buffer
        }
        for (index, key) in keys.enumerated() {
            values[index] = initial[key] ?? 0
            let shape = try backbone.shape(of: key.site)
            let group = backbone.groups[shape.group]
            let place = Point(layer: key.site.layer, group: shape.group)
            let none = [Int](repeating: -1, count: group.kinds.count * experts)
            let kind = group.kinds.firstIndex(of: key.site.kind) ?? 0
            columns[place, default: none][kind * experts + key.expert] = index
        }
    }

    deinit {
        values.deallocate()
        gradient.deallocate()
        for buffer in sums { buffer.deallocate() }
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<S>, into weights: UnsafeMutablePointer<S>) {
        weights.update(repeating: 0, count: rows.count * rows.columns)
        guard rows.count > 0, let indices = columns[Point(layer: point.layer, group: point.group)] else { return }
        for (column, index) in indices.enumerated() where index >= 0 { weights[column] = S(values[index]) }
        for row in 1..<max(1, rows.count) {
            (weights + row * rows.columns).update(from: weights, count: rows.columns)
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<S>, weights: UnsafePointer<S>,
        weightGradient: UnsafePointer<S>, inputGradient: UnsafeMutablePointer<S>?
    ) {
        guard let indices = columns[Point(layer: point.layer, group: point.group)] else { return }
        let sum = sums[rows.accumulator]
        for (column, index) in indices.enumerated() where index >= 0 {
            for row in 0..<rows.count { sum[index] += Double(weightGradient[row * rows.columns + column]) }
        }
    }

    /// Clears the sums before a backward pass.
    func begin() {
        for sum in sums { sum.update(repeating: 0, count: max(1, keys.count)) }
    }

    /// Adds the sums up, in an order that threads do not change.
    func finish() {
        for index in keys.indices { gradient[index] = sums.reduce(0) { $0 + $1[index] } }
    }
}
