import Tensors
import Testing

@testable import Merging

/// KnOTS and Core Space rules against dense alignments in double precision.
@Suite struct MergeAlignedTests {
    static let shapes = [(24, 17, [3, 4]), (16, 40, [4, 1, 7]), (14, 21, [10, 12, 8])]

    func set(_ shape: (Int, Int, [Int])) -> [TestAdapter] {
        TestAdapter.set(rows: shape.0, columns: shape.1, ranks: shape.2, seed: 71)
    }

    func updates(_ adapters: [TestAdapter]) -> [Dense] { adapters.map { $0.modules[0].delta } }

    static let identities = ["knots_ta", "core_ta", "task_arithmetic", "cat"]

    @Test(arguments: identities) func `a plain sum is the same in all coordinates`(_ method: String) throws {
        for shape in Self.shapes {
            let adapters = set(shape)
            let weights = Array([0.5, -1.5, 2].prefix(adapters.count))
            let expected = Dense.sum(zip(weights, updates(adapters)).map { ($0, $1) })
            var parameters: [String: ParameterValue] = [:]
            if method == "cat" { parameters["allow_overcomplete"] = .bool(true) }
            #expect(
                try MergeTrial(method, adapters, weights: weights, parameters).delta().distance(to: expected) < 1e-5)
            guard method == "knots_ta" else { continue }
            let input = MergeTrial(method, adapters, weights: weights, ["concat": .text("input")])
            #expect(try input.delta().distance(to: expected) < 1e-5)
        }
    }

    /// TIES on lists that belong to the modules of one adapter together.
    func ties(_ parts: [[Dense]], density: Double, scope: String) -> [Dense] {
        let reference = TiesReference(
            densities: parts.map { _ in density }, weights: parts.map { _ in 1 }, scope: scope, lambda: 0.6)
        let merged = reference.merged(
            parts.map { $0.map(DenseMethods.flat) }, columns: parts[0].map(\.columns))
        return zip(merged, parts[0]).map { Dense($1.rows, $1.columns, $0.map(Double.init)) }
    }

    @Test func `knots_ties is TIES on the aligned coordinates`() throws {
        for shape in Self.shapes {
            let adapters = set(shape)
            for density in [0.2, 0.5, 1] {
                let parameters: [String: ParameterValue] = ["density": .number(density), "lambda": .number(0.6)]
                let (u, parts) = DenseMethods.knots(updates(adapters))
                let expected = u * ties(parts.map { [$0] }, density: density, scope: "adapter")[0]
                let outcome = try MergeTrial("knots_ties", adapters, parameters).run()
                #expect(try outcome.delta().distance(to: expected) < 1e-4, "\(density)")
                #expect(try outcome.a().rows == u.columns)
                let turned = DenseMethods.knots(updates(adapters).map(\.transposed))
                let other = turned.u * ties(turned.parts.map { [$0] }, density: density, scope: "adapter")[0]
                var input = MergeTrial("knots_ties", adapters, parameters)
                input.parameters["concat"] = .text("input")
                #expect(try input.delta().distance(to: other.transposed) < 1e-4, "input \(density)")
            }
        }
    }

    @Test func `knots_ties trims all modules of an adapter together`() throws {
        var random = SplitMix(6)
        let adapters = (0..<3).map { i in
            TestAdapter(
                "a\(i)", [.random("m", 15, 11, 3, &random), .random("n", 8, 20, 2, &random, scale: 3)])
        }
        let aligned = [0, 1].map { k in DenseMethods.knots(adapters.map { $0.modules[k].delta }) }
        let parts = adapters.indices.map { i in aligned.map { $0.parts[i] } }
        for scope in ["adapter", "tensor"] {
            let merged = ties(parts, density: 0.3, scope: scope)
            var trial = MergeTrial(
                "knots_ties", adapters,
                ["density": .number(0.3), "lambda": .number(0.6), "trim_scope": .text(scope)])
            let outcome = try trial.run()
            for (k, name) in ["m", "n"].enumerated() {
                #expect(try outcome.delta(name).distance(to: aligned[k].u * merged[k]) < 1e-4, "\(scope) \(name)")
            }
            trial.threads = 2
            trial.blockHeight = 1
            #expect(try trial.run().bytes == outcome.bytes)
        }
    }

    @Test func `other rules follow the same alignment`() throws {
        let adapters = set(Self.shapes[1])
        let (u, parts) = DenseMethods.knots(updates(adapters))
        let lists = parts.map(DenseMethods.flat)
        func merged(_ entries: [Double]) -> Dense { u * Dense(parts[0].rows, parts[0].columns, entries) }
        let largest = lists[0].indices.map { e in
            Double(lists.map { $0[e] }.reduce(0) { abs($1) >= abs($0) ? $1 : $0 })
        }
        #expect(try MergeTrial("knots_magmax", adapters).delta().distance(to: merged(largest)) < 1e-4)
        let crumbs = lists.map { SparseReference.outliers($0, density: 0.6, gamma: 0.05) }
        let sum = lists[0].indices.map { e in crumbs.reduce(0) { $0 + Double($1[e]) } }
        let breadcrumbs = MergeTrial("knots_breadcrumbs", adapters, ["density": .number(0.6), "gamma": .number(0.05)])
        #expect(try breadcrumbs.delta().distance(to: merged(sum)) < 1e-4)
        let pruned = lists.map { TiesReference(densities: [], weights: []).trimmed($0, density: 0.3) }
        let kept = lists[0].indices.map { e in pruned.reduce(0) { $0 + Double($1[e]) } }
        let prune = MergeTrial("knots_magnitude_prune", adapters, ["density": .number(0.3)])
        #expect(try prune.delta().distance(to: merged(kept)) < 1e-4)
    }

    @Test(arguments: ["knots_dare_linear", "knots_dare_ties", "core_dare_linear", "core_dare_ties", "core_della"])
    func `random rules in coordinates depend on the seed alone`(_ method: String) throws {
        var trial = MergeTrial(method, set(Self.shapes[1]), ["density": .number(0.5)])
        let first = try trial.run()
        trial.threads = 2
        trial.blockHeight = 3
        #expect(try trial.run().bytes == first.bytes)
        trial.seed = 9
        #expect(try trial.delta().distance(to: try first.delta()) > 0.05)
        trial.parameters["density"] = .number(1)
        trial.adapters = [trial.adapters[0]]
        #expect(try trial.delta().distance(to: trial.adapters[0].modules[0].delta) < 1e-5)
    }

    @Test func `the output may be cut to a rank`() throws {
        let adapters = set(Self.shapes[1])
        let full = try MergeTrial("knots_ties", adapters).delta()
        var trial = MergeTrial("knots_ties", adapters)
        trial.rank = .fixed(3)
        #expect(try trial.delta().distance(to: JacobiSVD(full).truncated(3)) < 1e-4)
    }

    @Test func `a left rotation of all adapters rotates the result of knots`() throws {
        let adapters = set(Self.shapes[0])
        var random = SplitMix(2)
        let turn = random.orthogonal(24)
        let turned = adapters.map { adapter -> TestAdapter in
            var copy = adapter
            copy.modules[0].b = turn * adapter.modules[0].b
            return copy
        }
        let merged = try MergeTrial("knots_ties", adapters).delta()
        #expect(try MergeTrial("knots_ties", turned).delta().distance(to: turn * merged) < 1e-4)
    }

    // MARK: Core Space

    /// Q_B, Q_A and the C_i in singular bases of the stacked factors.
    func core(_ adapters: [TestAdapter]) -> (left: Dense, right: Dense, parts: [Dense]) {
        let b = JacobiSVD(Dense.sideBySide(adapters.map { $0.modules[0].b }))
        let a = JacobiSVD(Dense.sideBySide(adapters.map { $0.modules[0].a.transposed }))
        let left = b.u.columns(Array(0..<b.rank(1e-9)))
        let right = a.u.columns(Array(0..<a.rank(1e-9)))
        return (left, right, updates(adapters).map { left.transposed * $0 * right })
    }

    @Test func `core_ties is TIES on the cores in singular bases`() throws {
        for shape in Self.shapes {
            let adapters = set(shape)
            let (left, right, parts) = core(adapters)
            for scope in ["tensor", "adapter"] {
                let merged = ties(parts.map { [$0] }, density: 0.4, scope: scope)[0]
                let trial = MergeTrial(
                    "core_ties", adapters,
                    ["density": .number(0.4), "lambda": .number(0.6), "trim_scope": .text(scope)])
                #expect(try trial.delta().distance(to: left * merged * right.transposed) < 1e-4, "\(shape) \(scope)")
            }
        }
    }

    @Test(arguments: ["tsv_m", "iso_c", "iso_cts", "linear", "wudi"])
    func `rules that commute with isometries are the same in Core Space`(_ rule: String) throws {
        let adapters = set(Self.shapes[1])
        let plain = try MergeTrial(rule, adapters).run()
        #expect(try MergeTrial("core_" + rule, adapters).run().bytes == plain.bytes)
    }

    @Test func `signs inside an alignment do not matter`() throws {
        // Turning the signs of factor columns turns singular vectors; the coordinates follow.
        let adapters = set(Self.shapes[1])
        let turned = adapters.map { adapter -> TestAdapter in
            var copy = adapter
            copy.modules[0].b = -1 * adapter.modules[0].b
            copy.modules[0].a = -1 * adapter.modules[0].a
            return copy
        }
        for method in ["knots_ties", "core_ties", "core_magmax", "core_sce"] {
            let merged = try MergeTrial(method, adapters).delta()
            #expect(try MergeTrial(method, turned).delta().distance(to: merged) < 1e-5, "\(method)")
        }
    }
}
