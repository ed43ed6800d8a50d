import Adapters
import Evaluation
import Foundation
import LinearAlgebra
import Networks
import Synchronization
import Tensors
import Testing
import Training
import WeightFiles

@testable import Routing

/// Every baseline against a computation of its own (section 7 of the reference).
@Suite struct BaselineTests {
    static func pair(_ d: Int, _ o: Int, _ r: Int, seed: UInt64) -> FactorPair {
        FactorPair(
            b: Matrix(rows: o, columns: r, elements: Noise.numbers(o * r, seed: seed)),
            a: Matrix(rows: r, columns: d, elements: Noise.numbers(r * d, seed: seed + 50)), scale: 1.7)
    }

    @Test(arguments: [(24, 20, 4), (6, 30, 5), (12, 3, 4), (3, 12, 5), (9, 9, 1)])
    func `the Arrow prototype is the first right singular vector of the whole update`(_ d: Int, _ o: Int, _ r: Int)
        throws
    {
        for seed in 0..<5 {
            let pair = Self.pair(d, o, r, seed: UInt64(seed))
            let (v, sigma) = try pair.topRightVector()
            let svd = try thinSVD(multiply(pair.b, pair.a))
            let cosine = zip(v, svd.vt.rows(0..<1).elements).reduce(0) { $0 + $1.0 * $1.1 }
            #expect(abs(sigma - svd.sigma[0]) < 1e-10 * svd.sigma[0])
            #expect(abs(v.reduce(0) { $0 + $1 * $1 } - 1) < 1e-12)
            if svd.sigma.count < 2 || svd.sigma[0] > 1.01 * svd.sigma[1] { #expect(abs(cosine) > 1 - 1e-6) }
        }
    }

    @Test func `scaling A by c and B by 1/c changes neither prototype nor length`() throws {
        let pair = Self.pair(16, 12, 3, seed: 8)
        let other = FactorPair(b: pair.b.scaled(by: 1 / 7.5), a: pair.a.scaled(by: 7.5), scale: pair.scale)
        let cosine = zip(try pair.topRightVector().vector, try other.topRightVector().vector).reduce(0) {
            $0 + $1.0 * $1.1
        }
        #expect(abs(abs(cosine) - 1) < 1e-12)
        let x: [Double] = Noise.numbers(16, seed: 3)
        let scores = try [pair, other].map { score(SpectRScores(cores: [try $0.reduced()]), x)[0] }
        #expect(abs(scores[0] - scores[1]) < 1e-12 * scores[0])
    }

    func score(_ table: any SiteScores, _ x: [Double]) -> [Double] {
        var z = [Double](repeating: 0, count: table.covered.count)
        z.withUnsafeMutableBufferPointer { z in
            x.withUnsafeBufferPointer { x in
                if let x = x.baseAddress, let z = z.baseAddress { table.score(x, into: z) }
            }
        }
        return z
    }

    @Test func `SpectR's score is the length of the update of x`() throws {
        let pairs = [Self.pair(16, 12, 3, seed: 1), Self.pair(16, 2, 5, seed: 2)]
        let x: [Double] = Noise.numbers(16, seed: 5)
        let plain = SpectRScores(cores: [try pairs[0].reduced(), nil, try pairs[1].reduced()])
        let lengths = try pairs.map { pair in
            let y = try multiply(
                multiply(pair.b, pair.a).scaled(by: pair.scale), Matrix(rows: 16, columns: 1, elements: x))
            return y.frobeniusNorm
        }
        let norms = try pairs.map { try multiply($0.b, $0.a).scaled(by: $0.scale).frobeniusNorm }
        let z = score(plain, x)
        #expect(relativeError([z[0], z[2]], lengths) < 1e-12)
        let divided = score(plain.divided(by: plain.norms), x)
        #expect(relativeError([divided[0], divided[2]], zip(lengths, norms).map { $0 / $1 }) < 1e-12)
        #expect(plain.covered == [true, false, true])
    }

    /// Keeps what a router saw and decided.
    final class Watch: SiteRouter {
        typealias S = Float
        let router: any SiteRouter<Float>
        let seen = Mutex<[(point: RoutingPoint, x: [Double], w: [Float])]>([])
        init(_ router: any SiteRouter<Float>) { self.router = router }

        func coefficients(at point: RoutingPoint, rows: RoutedRows<Float>, into weights: UnsafeMutablePointer<Float>) {
            router.coefficients(at: point, rows: rows, into: weights)
            for row in 0..<rows.count {
                let x = (0..<rows.width).map { Double(rows.input[row * rows.stride + $0]) }
                let w = (0..<rows.columns).map { weights[row * rows.columns + $0] }
                seen.withLock { $0.append((point, x, w)) }
            }
        }

        func backward(
            at point: RoutingPoint, rows: RoutedRows<Float>, weights: UnsafePointer<Float>,
            weightGradient: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
        ) {}
    }

    @Test func `Arrow mixes each token by dense prototypes, site by site`() throws {
        let mixture = try SuiteMixture()
        let experts = mixture.evaluation.experts
        let watch = Watch(ScoreRouter(try Arrow.tables(experts), experts: 3, k: 2))
        let subject = RoutingSubject(label: "arrow", kind: .router(watch), perSite: true)
        _ = try mixture.evaluation.predictions(subject, mixture.samples)
        let seen = watch.seen.withLock { $0 }
        #expect(seen.count > 100)
        for (point, x, w) in seen.prefix(200) {
            let group = experts.backbone.description.groups[point.group]
            for (place, kind) in group.kinds.enumerated() {
                let found = Array(w[place * 3..<(place + 1) * 3])
                let scores = try experts.slots.map { slot -> Double? in
                    guard let pair = slot.pairs.first(where: { $0.site == SiteID(layer: point.layer, kind: kind) })
                    else {
                        return nil
                    }
                    let factors = FactorPair(pair, of: slot)
                    let v = try thinSVD(multiply(factors.b, factors.a)).vt.rows(0..<1).elements
                    return abs(zip(v, x).reduce(0) { $0 + $1.0 * $1.1 })
                }
                let expected = ExpertScores.topWeights(scores, k: 2, temperature: 1)
                #expect(zip(found, expected).allSatisfy { abs(Double($0) - $1) < 1e-5 })
                #expect(found.filter { $0 != 0 }.count == min(2, scores.filter { $0 != nil }.count))
            }
        }
    }

    @Test func `softmax regression stands at the minimum of its objective`() throws {
        let (n, d, classes, c) = (60, 5, 3, 10.0)
        let x = Matrix<Double>(rows: n, columns: d, elements: Noise.numbers(n * d, seed: 2))
        let labels = (0..<n).map { row in x[row, 0] > 0.3 ? 0 : x[row, 1] > 0 ? 1 : 2 }
        let model = try SoftmaxRegression(x, labels: labels, classes: classes, c: c)
        func objective(_ p: [Double]) -> Double {
            var sum = p[..<(classes * d)].reduce(0) { $0 + $1 * $1 } / (2 * c)
            for row in 0..<n {
                let z = (0..<classes).map { k in
                    (0..<d).reduce(p[classes * d + k]) { $0 + p[k * d + $1] * x[row, $1] }
                }
                sum += log(z.reduce(0) { $0 + exp($1) }) - z[labels[row]]
            }
            return sum
        }
        let point = model.weight.elements + model.bias
        #expect(model.converged)
        #expect(abs(objective(point) - model.value) < 1e-9 * model.value)
        #expect(numericGradient(point, objective).allSatisfy { abs($0) < 1e-3 })
    }

    @Test func `the evolution strategy finds a minimum inside and at the bounds, the same for one seed`() throws {
        func run(_ seed: UInt64) throws -> (point: [Double], value: Double) {
            try EvolutionStrategy(bounds: -1.5...1.5, evaluations: 600, seed: seed).minimise(from: [0, 0, 0, 0]) { x in
                zip(x, [0.5, -1, 3, 0]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } + x[0] * x[1] * 0.1
            }
        }
        let first = try run(3)
        #expect(abs(first.point[2] - 1.5) < 1e-6)
        #expect(abs(first.point[0] - 0.5) < 0.1 && abs(first.point[1] + 1) < 0.1)
        #expect(try run(3).point == first.point)
    }

    @Test func `centroids weigh experts by cosine`() {
        let libraries: [[[Double]]] = [[[1, 0], [0, 1]], [[0.6, 0.8]], []]
        let mean = CentroidRetrieval.weights([1, 0], libraries, .init(k: 2, similarity: .mean))
        let ratio = exp((0.6 - 0.5) / 0.1)
        #expect(abs(mean[1] / mean[0] - ratio) < 1e-9)
        #expect(mean[2] == 0)
        #expect(CentroidRetrieval.weights([1, 0], libraries, .init(k: 1, similarity: .largest)) == [1, 0, 0])
    }

    @Test func `gates learn by the gradient of their definition`() throws {
        let mixture = try TinyMixture<Double>("bert", experts: 1)
        let gate = try GateRouter<Double>(mixture.slots[0], on: mixture.backbone.description)
        let mix = try mixture.mix(perSite: true)
        let start: [Double] = Noise.numbers(gate.values.count, seed: 6, scale: 0.3)
        _ = gate.values.update(fromContentsOf: start)
        let pass = try mixture.backbone.forward(
            mixture.input, output: .features(.mean), mix: mix, coefficients: .routed(gate), learning: .coefficients)
        let slope: [Double] = Noise.numbers(pass.output.count, seed: 7)
        gate.begin()
        pass.backward(slope, into: Gradients(backbone: mixture.backbone, mix: mix))
        gate.finish()
        for index in stride(from: 0, to: start.count, by: max(1, start.count / 25)) {
            func value(_ t: Double) throws -> Double {
                _ = gate.values.update(fromContentsOf: start)
                gate.values[index] += t
                let out = try mixture.backbone.features(
                    mixture.input, pooling: .mean, mix: mix, coefficients: .routed(gate))
                return zip(out, slope).reduce(0) { $0 + $1.0 * $1.1 }
            }
            let numeric = try (value(1e-5) - value(-1e-5)) / 2e-5
            #expect(abs(numeric - gate.slopes[index]) < 1e-6 * max(1, abs(numeric)))
        }
    }

    @Test func `gate scores are standardised products`() {
        let g: [Double] = Noise.numbers(12, seed: 1)
        let x: [Double] = Noise.numbers(12, seed: 2)
        let z = score(GateScores(gates: [GateScores.standardised(g), nil], inputs: 12), x)
        let expected = zip(GateScores.standardised(g), GateScores.standardised(x)).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(z[0] - expected / 12.0.squareRoot()) < 1e-12)
    }

    @Test func `every baseline runs, the same on any number of threads`() throws {
        let one = try SuiteMixture(threads: 1)
        let merge = BaselineContext.Merge(name: "first", adapter: one.evaluation.experts.experts[0].adapter)
        let rows = try [one, SuiteMixture(threads: 2)].map { mixture in
            let context = try mixture.context(merges: [merge])
            return try RoutingBaselines.standard.flatMap { try $0.results(context) }
        }
        #expect(rows[0].map(\.label) == rows[1].map(\.label))
        #expect(rows[0].map(\.predictions.logits) == rows[1].map(\.predictions.logits))
        #expect(rows[0].map(\.detail) == rows[1].map(\.detail))
        #expect(
            Set(rows[0].map(\.label)) == [
                "backbone", "single:food", "single:money", "single:trips", "best-single", "oracle-task",
                "oracle-expert",
                "uniform", "merged:first", "arrow", "spectr", "centroid", "global-domain", "lorahub", "gate-vectors",
            ])
        let table = RoutingTable(router: [rows[0][0]], baselines: rows[0], seed: 1)
        #expect(table.rows.first { $0.label == "oracle-task" }?.normalised == 1)
        let oracle = try #require(rows[0].first { $0.label == "oracle-expert" })
        for row in rows[0] where row.label.hasPrefix("single:") {
            let losses = row.predictions.losses(labels: one.samples.encoded.labels)
            let best = oracle.predictions.losses(labels: one.samples.encoded.labels)
            #expect(zip(best, losses).allSatisfy { $0 <= $1 })
        }
    }

    @Test func `scores put together from experts are those of a pass`() throws {
        let mixture = try SuiteMixture()
        let book = PredictionBook(mixture.evaluation, mixture.samples)
        var weights = Matrix<Float>(rows: mixture.samples.count, columns: 3)
        for row in 0..<weights.rows where row % 4 != 3 { weights[row, row % 4] = 1 }
        let subject = RoutingSubject(label: "given", kind: .given(weights))
        let assembled = try book.predictions(subject)
        let passed = try mixture.evaluation.predictions(subject, mixture.samples)
        #expect(relativeError(assembled.logits.elements, passed.logits.elements) < 1e-5)
        #expect(PredictionBook.choice(Matrix(rows: 1, columns: 2, elements: [0.5, 0.5])) == nil)
    }

    @Test func `kept predictions come back as they were`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let mixture = try SuiteMixture()
        let store = try PredictionStore(folder: folder, for: mixture.evaluation)
        let first = PredictionBook(mixture.evaluation, mixture.samples, store: store)
        try first.prepareFeatures()
        let single = try first.single(1)
        let second = PredictionBook(
            mixture.evaluation, try mixture.evaluation.encode(mixture.loaded.samples()), store: store)
        try second.prepareFeatures()
        #expect(try second.single(1).logits == single.logits)
        #expect(try second.single(1).weights == single.weights)
        #expect(
            try second.evaluation.frozenFeatures(second.samples) == mixture.evaluation.frozenFeatures(first.samples))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
    }
}
