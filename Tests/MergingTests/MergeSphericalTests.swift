import Foundation
import Testing

@testable import Merging

/// slerp, nuslerp, multislerp, karcher and model_stock against their forms on dense vectors.
@Suite struct MergeSphericalTests {
    func set(_ ranks: [Int], rows: Int = 22, columns: Int = 30) -> [TestAdapter] {
        TestAdapter.set(rows: rows, columns: columns, ranks: ranks, seed: 51)
    }

    func updates(_ adapters: [TestAdapter]) -> [Dense] { adapters.map { $0.modules[0].delta } }

    func arc(_ x: Dense, _ y: Dense, _ t: Double, limit: Double?) -> Dense {
        let cosine = DenseMethods.inner(x, y) / (x.norm * y.norm)
        let angle = acos(min(1, max(-1, cosine)))
        let straight = limit.map { abs(cosine) > $0 } ?? (abs(sin(angle)) < 1e-8)
        if straight { return Dense.sum([(1 - t, x), (t, y)]) }
        return Dense.sum([(sin((1 - t) * angle) / sin(angle), x), (sin(t * angle) / sin(angle), y)])
    }

    @Test func `slerp follows the arc from one update to the other`() throws {
        for ranks in [[3, 5], [14, 12]] {
            let adapters = set(ranks)
            let u = updates(adapters)
            for t in [0, 0.25, 0.5, 1] {
                let merged = try MergeTrial("slerp", adapters, ["t": .number(t)]).delta()
                #expect(merged.distance(to: arc(u[0], u[1], t, limit: 0.9995)) < 1e-5)
            }
            #expect(try MergeTrial("slerp", adapters, ["t": .number(0)]).delta().distance(to: u[0]) < 1e-6)
            #expect(try MergeTrial("slerp", adapters, ["t": .number(1)]).delta().distance(to: u[1]) < 1e-6)
        }
    }

    @Test func `slerp keeps the length of updates of equal length`() throws {
        var adapters = set([3, 5])
        adapters[1].modules[0].scale *= adapters[0].modules[0].delta.norm / adapters[1].modules[0].delta.norm
        let norm = adapters[0].modules[0].delta.norm
        for t in [0.1, 0.5, 0.8] {
            #expect(abs(try MergeTrial("slerp", adapters, ["t": .number(t)]).delta().norm / norm - 1) < 1e-5)
        }
    }

    @Test func `slerp is linear between nearly parallel updates and beside a zero one`() throws {
        var adapters = set([4, 4])
        adapters[1].modules = adapters[0].modules
        adapters[1].modules[0].scale *= 3
        let u = updates(adapters)
        let merged = try MergeTrial("slerp", adapters, ["t": .number(0.25)]).delta()
        #expect(merged.distance(to: Dense.sum([(0.75, u[0]), (0.25, u[1])])) < 1e-6)
        adapters[1].modules[0].b = Dense(22, 4)
        #expect(try MergeTrial("slerp", adapters, ["t": .number(0.25)]).delta().distance(to: 0.75 * u[0]) < 1e-6)
    }

    @Test func `nuslerp weighs by the second share, for all, by rows or by columns`() throws {
        for ranks in [[3, 5], [14, 12]] {
            let adapters = set(ranks)
            let u = updates(adapters)
            let t = 0.7 / (0.3 + 0.7)
            let whole = try MergeTrial("nuslerp", adapters, weights: [0.3, 0.7]).delta()
            #expect(whole.distance(to: arc(u[0], u[1], t, limit: nil)) < 1e-5)
            for axis in ["rows", "columns"] {
                let trial = MergeTrial(
                    "nuslerp", adapters, weights: [0.3, 0.7], ["flatten": .bool(false), "axis": .text(axis)])
                let turned = axis == "rows" ? u : u.map(\.transposed)
                var expected = Dense(turned[0].rows, turned[0].columns)
                for k in 0..<expected.rows {
                    func row(_ a: Dense) -> Dense { Dense(1, a.columns, (0..<a.columns).map { a[k, $0] }) }
                    let merged = arc(row(turned[0]), row(turned[1]), t, limit: nil)
                    for j in 0..<expected.columns { expected[k, j] = merged[0, j] }
                }
                #expect(
                    try trial.delta().distance(to: axis == "rows" ? expected : expected.transposed) < 1e-5, "\(axis)")
                var small = trial
                small.rank = .fixed(2)
                let exact = JacobiSVD(axis == "rows" ? expected : expected.transposed).truncated(2)
                #expect(try small.delta().distance(to: exact) < 1e-5)
            }
        }
        let even = try MergeTrial("nuslerp", set([3, 5]), weights: [1, -1]).delta()
        let u = updates(set([3, 5]))
        #expect(even.distance(to: arc(u[0], u[1], 0.5, limit: nil)) < 1e-5)
    }

    /// mergekit takes the cosine with a zero update as 0, so the other end is reached on a quarter of a circle.
    @Test func `a zero update is orthogonal for mergekit and absent natively`() throws {
        var adapters = set([3, 5])
        adapters[0].modules[0].b = Dense(22, 3)
        let u = updates(adapters)
        var trial = MergeTrial("nuslerp", adapters, weights: [1, 3])
        #expect(try trial.delta().distance(to: 0.75 * u[1]) < 1e-6)
        trial.compatibility = .mergekit
        #expect(try trial.delta().distance(to: sin(0.75 * Double.pi / 2) * u[1]) < 1e-6)
    }

    // MARK: Barycentres

    func unit(_ a: Dense) -> Dense { (1 / a.norm) * a }

    func tangentMean(_ u: [Dense], _ w: [Double]) -> Dense {
        let point = unit(Dense.sum(zip(w, u).map { ($0, unit($1)) }))
        var tangent = Dense(point.rows, point.columns)
        for (x, w) in zip(u.map(unit), w) { tangent = tangent + w * (x - DenseMethods.inner(x, point) * point) }
        let size = tangent.norm
        let direction = cos(size) * point + (sin(size) / size) * tangent
        return zip(w, u).reduce(0) { $0 + $1.0 * $1.1.norm } * direction
    }

    func karcher(_ u: [Dense], _ w: [Double], iterations: Int) -> Dense {
        var point = unit(Dense.sum(zip(w, u).map { ($0, unit($1)) }))
        for _ in 0..<iterations {
            var tangent = Dense(point.rows, point.columns)
            for (x, w) in zip(u.map(unit), w) {
                let cosine = DenseMethods.inner(x, point)
                let angle = acos(cosine)
                tangent = tangent + (w * angle / sin(angle)) * (x - cosine * point)
            }
            if tangent.norm < 1e-5 { break }
            point = unit(cos(tangent.norm) * point + (sin(tangent.norm) / tangent.norm) * tangent)
        }
        return zip(w, u).reduce(0) { $0 + $1.0 * $1.1.norm } * point
    }

    @Test func `multislerp takes one step from the mean direction`() throws {
        for ranks in [[3, 5, 2], [14, 12, 9]] {
            let adapters = set(ranks)
            let w = [0.5, 0.3, 0.2]
            let merged = try MergeTrial("multislerp", adapters, weights: w.map { 2 * $0 }).delta()
            #expect(merged.distance(to: tangentMean(updates(adapters), w)) < 1e-5)
            let raw = try MergeTrial(
                "multislerp", adapters, weights: [1, 0.6, 0.4], ["normalize_weights": .bool(false)]
            ).delta()
            #expect(raw.distance(to: tangentMean(updates(adapters), [1, 0.6, 0.4])) < 1e-5)
        }
    }

    @Test func `karcher iterates to the barycentre`() throws {
        let adapters = set([3, 5, 2])
        let w = [0.5, 0.3, 0.2]
        for iterations in [1, 2, 10] {
            let merged = try MergeTrial(
                "karcher", adapters, weights: w, ["max_iter": .number(Double(iterations)), "lambda": .number(0.5)]
            ).delta()
            #expect(merged.distance(to: 0.5 * karcher(updates(adapters), w, iterations: iterations)) < 1e-5)
        }
    }

    @Test func `opposite directions: two become linear, three have no mean`() throws {
        let adapter = set([3])[0]
        var minus = adapter
        minus.name = "minus"
        minus.modules[0].scale *= -1
        let two = try MergeTrial("multislerp", [adapter, minus], weights: [1, 1]).delta()
        #expect(two.norm < 1e-6)
        let weights = [2.0, 1, 1]
        let trial = MergeTrial("multislerp", [adapter, minus, minus], weights: weights)
        #expect(failureCode { _ = try trial.run() } == "numeric.no_convergence")
    }

    @Test(arguments: ["multislerp", "karcher"])
    func `a zero update counts in the length only`(_ method: String) throws {
        var adapters = set([3, 5, 2])
        let two = try MergeTrial(method, Array(adapters.prefix(2))).delta()
        adapters[2].modules[0].b = Dense(22, 2)
        let three = try MergeTrial(method, adapters).delta()
        #expect(three.distance(to: (2.0 / 3) * two) < 1e-4)
    }

    // MARK: model_stock

    func stock(_ u: [Dense], clamps: Bool) -> Dense {
        var (sum, pairs) = (0.0, 0.0)
        for i in u.indices {
            for j in u.indices where i < j {
                sum += DenseMethods.inner(u[i], u[j]) / (u[i].norm * u[j].norm)
                pairs += 1
            }
        }
        let count = Double(u.count)
        let t = count * (sum / pairs) / (1 + (count - 1) * sum / pairs)
        return ((clamps ? min(1, max(0, t)) : t) / count) * Dense.sum(u.map { (1, $0) })
    }

    /// Adapters around one update.
    func related() -> [TestAdapter] {
        var random = SplitMix(4)
        let (b, a) = (random.matrix(22, 3), random.matrix(3, 30))
        return (0..<3).map { i in
            TestAdapter(
                "a\(i)", [TestModule("m", b: b + 0.3 * random.matrix(22, 3), a: a + 0.3 * random.matrix(3, 30))])
        }
    }

    @Test func `model_stock shrinks the mean by the mean cosine`() throws {
        for adapters in [related(), set([3, 5, 2])] {
            let u = updates(adapters)
            for clamps in [true, false] {
                let merged = try MergeTrial("model_stock", adapters, ["clamp": .bool(clamps)]).delta()
                #expect((merged - stock(u, clamps: clamps)).norm < 1e-5 * u[0].norm)
            }
        }
    }

    @Test func `model_stock filter by filter has a factor per row`() throws {
        let adapters = related()
        let u = updates(adapters)
        let merged = try MergeTrial("model_stock", adapters, ["filter_wise": .bool(true)]).delta()
        for k in 0..<22 {
            let rows = u.map { a in Dense(1, a.columns, (0..<a.columns).map { a[k, $0] }) }
            let expected = stock(rows, clamps: true)
            let found = Dense(1, 30, (0..<30).map { merged[k, $0] })
            #expect((found - expected).norm < 1e-5 * rows[0].norm)
        }
    }

    @Test func `the clamp keeps unrelated adapters from turning around`() throws {
        var adapters = set([3, 5])
        // A slightly negative cosine.
        if DenseMethods.inner(updates(adapters)[0], updates(adapters)[1]) > 0 { adapters[1].modules[0].scale *= -1 }
        #expect(try MergeTrial("model_stock", adapters).delta().norm < 1e-6)
        let free = try MergeTrial("model_stock", adapters, ["clamp": .bool(false)]).delta()
        #expect(DenseMethods.inner(free, Dense.sum(updates(adapters).map { (1, $0) })) < 0)
    }
}
