import Adapters
import Diagnostics
import LinearAlgebra
import Tensors
import Testing

@testable import Merging

/// Adapters with known factors.
private enum Sample {
    /// Module name → (d_out, d_in, rank, scale).
    typealias Shape = (name: String, rows: Int, columns: Int, rank: Int, scale: Double)

    static func module(_ shape: Shape, seed: UInt64) throws -> LoRAModule {
        let b = CounterRandom(seed: seed, stream: 1).normalMatrix(rows: shape.rows, columns: shape.rank)
        let a = CounterRandom(seed: seed, stream: 2).normalMatrix(rows: shape.rank, columns: shape.columns)
        return try module(shape.name, b: b, a: a, scale: shape.scale)
    }

    static func module(_ name: String, b: Matrix<Float>, a: Matrix<Float>, scale: Double) throws -> LoRAModule {
        LoRAModule(
            name: name, kind: .linear, dOut: b.rows, dIn: a.columns, rank: a.rows, scale: scale,
            alpha: scale * Double(a.rows), a: try TensorBuffer(name: "A", dtype: .f32, matrix: a).view,
            b: try TensorBuffer(name: "B", dtype: .f32, matrix: b).view, deltaShape: [b.rows, a.columns])
    }

    static func adapter(_ name: String, _ modules: [LoRAModule], base: String = "base") -> NamedAdapter {
        NamedAdapter(
            name: name, version: nil, object: nil, reference: name,
            adapter: Adapter(
                modules: modules.sorted { $0.name < $1.name }, saved: [], base: BaseIdentity(name: base),
                format: "peft",
                configuration: .null, findings: []))
    }

    static func dense(_ module: LoRAModule) throws -> Matrix<Double> {
        let b = try module.b.doubleMatrix(rows: module.dOut, columns: module.rank)
        let a = try module.a.doubleMatrix(rows: module.rank, columns: module.dIn)
        var result = Matrix<Double>(rows: module.dOut, columns: module.dIn)
        for i in 0..<module.dOut {
            for j in 0..<module.dIn {
                for k in 0..<module.rank { result[i, j] += module.scale * b[i, k] * a[k, j] }
            }
        }
        return result
    }
}

/// The definitions, entry by entry.
private struct DenseReference {
    var inner = 0.0
    var first = 0.0
    var second = 0.0
    var opposite = 0
    var entries = 0

    init(_ pairs: [(Matrix<Double>, Matrix<Double>)]) {
        for (x, y) in pairs {
            for (p, q) in zip(x.elements, y.elements) {
                inner += p * q
                first += p * p
                second += q * q
                opposite += p * q < 0 ? 1 : 0
                entries += 1
            }
        }
    }

    var cosine: Double { inner / (first * second).squareRoot() }
    var signConflict: Double { Double(opposite) / Double(entries) }
}

@Suite struct ComparisonTests {
    private static func overlap(_ x: Matrix<Double>, _ y: Matrix<Double>, left: Bool) throws -> Double {
        let u = try supportSVD(left ? x : x.transposed()).u
        let v = try supportSVD(left ? y : y.transposed()).u
        let norm = try multiply(u, v, transposeA: true).frobeniusNorm
        return norm * norm / Double(min(u.columns, v.columns))
    }

    @Test func `cosine, signs and subspaces agree with dense loops`() throws {
        let shapes: [Sample.Shape] = [("a", 70, 33, 3, 2), ("b", 20, 90, 2, -0.5)]
        let adapters = try (0..<3).map { index in
            Sample.adapter("m\(index)", try shapes.map { try Sample.module($0, seed: UInt64(index + 1)) })
        }
        let comparison = try AdapterComparison.compare(adapters)
        for i in 0..<3 {
            for j in 0..<3 {
                let dense = try (0..<2).map {
                    (
                        try Sample.dense(adapters[i].adapter.modules[$0]),
                        try Sample.dense(adapters[j].adapter.modules[$0])
                    )
                }
                let reference = DenseReference(dense)
                #expect(abs(try #require(comparison.cosine[i][j]) - reference.cosine) < 1e-6)
                #expect(abs(try #require(comparison.signConflict[i][j]) - reference.signConflict) < 1e-3)
                for left in [true, false] {
                    let expected = try dense.map { try Self.overlap($0.0, $0.1, left: left) }.reduce(0, +) / 2
                    let found = try #require((left ? comparison.subspaceOverlap : comparison.inputOverlap)[i][j])
                    #expect(abs(found - expected) < 1e-6)
                }
            }
        }
        #expect(comparison.signShare == 1)
        #expect(comparison.ranks.sumOfRanks == 9)
        #expect(comparison.ranks.exact == 9)
        let norm = try #require(comparison.modules.first?.norms[0])
        #expect(abs(norm - (try Sample.dense(adapters[0].adapter.modules[0])).frobeniusNorm) < 1e-6 * norm)
    }

    @Test func `an adapter compared with itself and its negative`() throws {
        let module = try Sample.module(("a", 40, 30, 4, 1), seed: 7)
        var negative = module
        negative.scale = -3
        let comparison = try AdapterComparison.compare([
            Sample.adapter("x", [module]), Sample.adapter("same", [module]), Sample.adapter("negative", [negative]),
        ])
        #expect(comparison.cosine[0][1] ?? 0 > 1 - 1e-9)
        #expect(comparison.cosine[0][2] ?? 0 < -1 + 1e-9)
        #expect(comparison.signConflict[0][1] == 0)
        #expect(comparison.signConflict[0][2] == 1)
        #expect(abs((comparison.subspaceOverlap[0][2] ?? 0) - 1) < 1e-9)
        #expect(comparison.advice.methods.contains("ties"))
    }

    @Test func `modules that only one has, other shapes and zero updates give no number`() throws {
        let shared = try Sample.module(("shared", 16, 8, 2, 1), seed: 1)
        let other = try Sample.module(("other", 16, 8, 2, 1), seed: 2)
        let zero = try Sample.module(
            "shared", b: Matrix(rows: 16, columns: 2), a: Matrix(rows: 2, columns: 8), scale: 1)
        let wide = try Sample.module(("shared", 16, 9, 2, 1), seed: 3)
        let comparison = try AdapterComparison.compare([
            Sample.adapter("first", [shared]), Sample.adapter("apart", [other]), Sample.adapter("zero", [zero]),
            Sample.adapter("wide", [wide], base: "another"),
        ])
        #expect(comparison.cosine[0] == [1, nil, nil, nil])
        #expect(comparison.cosine[2][2] == nil)
        #expect(comparison.signConflict[0][1] == nil)
        #expect(comparison.signConflict[0][2] == 0)
        #expect(comparison.subspaceOverlap[0][2] == nil)
        #expect(comparison.modules.map(\.name) == ["other", "shared"])
        #expect(comparison.notes.contains { $0.contains("different shapes") })
        #expect(comparison.notes.contains { $0.contains("another, base") })
        #expect(comparison.advice.grounds == ["no pair has a cosine"])
    }

    @Test func `drawn rows estimate the sign conflict and do not depend on threads`() throws {
        let shape: Sample.Shape = ("a", 64 * 40, 16, 2, 1)
        let adapters = try (1...2).map { Sample.adapter("m\($0)", [try Sample.module(shape, seed: UInt64($0))]) }
        let exact = try AdapterComparison.compare(adapters)
        var options = AdapterComparison.Options()
        options.exactEntries = 64 * 16 * 10
        options.seed = 3
        let drawn = try AdapterComparison.compare(adapters, options: options)
        #expect(drawn.signShare == 0.25)
        let difference = abs(try #require(drawn.signConflict[0][1]) - (try #require(exact.signConflict[0][1])))
        #expect(difference < 0.05 && difference > 0)
        options.threads = 1
        #expect(try AdapterComparison.compare(adapters, options: options).signConflict == drawn.signConflict)
        options.seed = 4
        #expect(try AdapterComparison.compare(adapters, options: options).signConflict != drawn.signConflict)
    }

    @Test func `fewer than two adapters cannot be compared`() throws {
        let only = Sample.adapter("only", [try Sample.module(("a", 4, 4, 1, 1), seed: 1)])
        #expect(throws: Failure.self) { try AdapterComparison.compare([only]) }
    }
}
