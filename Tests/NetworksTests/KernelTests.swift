import Foundation
import Tensors
import Testing

@testable import Networks

/// The float32 kernels against the same code in double precision, whose functions come from the C library.
@Suite struct KernelTests {
    @Test(arguments: [(1, 1, 1), (5, 7, 3), (13, 33, 17), (29, 16, 40), (12, 45, 9)], [false, true])
    func `products in every arrangement equal plain sums`(_ shape: (Int, Int, Int), _ accumulates: Bool) {
        let (m, n, k) = shape
        func numbers(_ count: Int, _ seed: Int) -> [Float] {
            (0..<count).map { Float(($0 * 37 + seed * 11) % 23 - 11) / 8 }
        }
        for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)] {
            let (lda, ldb, ldc) = ((transposeA ? m : k) + 2, (transposeB ? k : n) + 3, n + 1)
            let a = numbers((transposeA ? k : m) * lda, 1)
            let b = numbers((transposeB ? n : k) * ldb, 2)
            let old = numbers(m * ldc, 3)
            var c = old
            Float.multiply(
                transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: 0.5, a: a, lda: lda, b: b,
                ldb: ldb, accumulate: accumulates, c: &c, ldc: ldc)
            for i in 0..<m {
                for j in 0..<n {
                    var sum = accumulates ? Double(old[i * ldc + j]) : 0
                    for l in 0..<k {
                        let x = transposeA ? a[l * lda + i] : a[i * lda + l]
                        let y = transposeB ? b[j * ldb + l] : b[l * ldb + j]
                        sum += 0.5 * Double(x) * Double(y)
                    }
                    #expect(abs(Double(c[i * ldc + j]) - sum) < 1e-4)
                }
                // What stands between the rows stays as it was.
                #expect(c[i * ldc + n] == old[i * ldc + n])
            }
        }
    }

    @Test(arguments: [14, 50, 1e6, 1e15, 3e38] as [Float]) func `GELU of large numbers is the number or zero`(
        _ x: Float
    ) {
        var (y, slope) = ([Float](repeating: 0, count: 3), [Float](repeating: 0, count: 3))
        PackedProduct.gelu(3, [x, -x, .nan], into: &y, derivative: &slope)
        #expect(y[0] == x && slope[0] == 1)
        #expect(abs(y[1]) < 1e-6 && abs(slope[1]) < 1e-6)
        #expect(y[2].isNaN && slope[2].isNaN)
    }

    static func grid(_ range: ClosedRange<Double>, _ count: Int) -> [Float] {
        (0..<count).map {
            Float(range.lowerBound + (range.upperBound - range.lowerBound) * Double($0) / Double(count - 1))
        }
    }

    /// Applies eight at a time.
    static func apply(_ x: [Float], _ f: (FloatLanes) -> FloatLanes) -> [Float] {
        var y = x
        x.withUnsafeBufferPointer { source in
            y.withUnsafeMutableBufferPointer { target in
                for i in stride(from: 0, to: x.count - 7, by: 8) {
                    f(.load(source.baseAddress! + i)).store(target.baseAddress! + i)
                }
            }
        }
        return y
    }

    /// Largest error relative to the exact value.
    static func worst(_ x: [Float], _ y: [Float], _ exact: (Double) -> Double) -> Double {
        zip(x, y).map { abs(Double($1) - exact(Double($0))) / max(abs(exact(Double($0))), 1e-37) }.max() ?? .infinity
    }

    @Test func `exponential, logarithm and normal distribution`() {
        let wide = Self.grid(-87...88, 80_000)
        #expect(Self.worst(wide, Self.apply(wide) { $0.exponential }, exp) < 2e-7)
        let unit = Self.grid(0...1, 80_000)
        #expect(Self.worst(unit, Self.apply(unit) { $0.logarithmOfOnePlus }, log1p) < 3e-7)
        let normal = Self.grid(-13...13, 80_000)
        #expect(
            Self.worst(normal, Self.apply(normal) { $0.normal.probability }, { 0.5 * erfc(-$0 / 2.0.squareRoot()) })
                < 1e-6)
        #expect(
            Self.worst(
                normal, Self.apply(normal) { $0.normal.density }, { exp(-$0 * $0 / 2) / (2 * Double.pi).squareRoot() })
                < 1e-6)
    }

    @Test func `arguments outside the range of the exponential give finite results`() {
        let x: [Float] = [-1e30, -1000, -88, 89, 1000, 1e30, -.infinity, .infinity]
        #expect(Self.apply(x) { $0.exponential }.allSatisfy { $0.isFinite && $0 >= 0 })
    }

    static func run<S: NetworkScalar>(_ activation: Activation, _ x: [Float], _: S.Type) -> (y: [S], d: [S]) {
        let input = x.map { S($0) }
        var y = input
        var d = input
        y.withUnsafeMutableBufferPointer { y in
            d.withUnsafeMutableBufferPointer { d in
                activation.forward(x.count, input, into: y.baseAddress!, derivative: d.baseAddress)
            }
        }
        return (y, d)
    }

    @Test(arguments: [Activation.gelu, .silu, .relu])
    func `activations are right to 1e-6 of their value`(_ activation: Activation) {
        let x = Self.grid(-12...12, 50_003)
        let (y, d) = Self.run(activation, x, Float.self)
        let exact = Self.run(activation, x, Double.self)
        for i in x.indices {
            #expect(abs(Double(y[i]) - exact.y[i]) <= 1e-6 * abs(exact.y[i]) + 1e-37, "\(x[i])")
            // The derivative passes through zero: there its terms set the scale.
            #expect(
                abs(Double(d[i]) - exact.d[i]) <= 1e-6
                    * max(abs(exact.d[i]), abs(exact.y[i] / max(1e-3, abs(Double(x[i]))))) + 1e-37, "\(x[i])")
        }
    }

    @Test func `the tanh form of GELU is right to 1e-6 of its argument`() {
        let x = Self.grid(-12...12, 50_003)
        let (y, d) = Self.run(.geluTanh, x, Float.self)
        for i in x.indices {
            let v = Double(x[i])
            let u = (2 / Double.pi).squareRoot() * (v + 0.044715 * v * v * v)
            #expect(abs(Double(y[i]) - 0.5 * v * (1 + tanh(u))) < 1e-6 * max(1, abs(v)))
            let slope =
                0.5 * (1 + tanh(u)) + 0.5 * v * (1 - tanh(u) * tanh(u)) * (2 / Double.pi).squareRoot()
                * (1 + 0.134145 * v * v)
            #expect(abs(Double(d[i]) - slope) < 2e-6)
        }
    }

    @Test func `softplus and its derivative`() {
        let x = Self.grid(-40...40, 20_001)
        var y = x
        var d = x
        y.withUnsafeMutableBufferPointer { y in
            d.withUnsafeMutableBufferPointer { d in
                softplusForward(x.count, x, into: y.baseAddress!, derivative: d.baseAddress)
            }
        }
        #expect(Self.worst(x, y) { log1p(exp(-abs($0))) + max($0, 0) } < 1e-6)
        #expect(Self.worst(x, d) { $0 >= 0 ? 1 / (1 + exp(-$0)) : exp($0) / (1 + exp($0)) } < 1e-6)
    }

    @Test(arguments: [1, 7, 8, 13, 24, 384])
    func `softmax rows sum to one and masked keys are exactly zero`(_ length: Int) {
        var noise = Noise(UInt64(length))
        let stride = Attention<Float>.stride(length)
        for (causal, window) in [(false, length), (true, length), (true, 3)] {
            var p: [Float] = noise.numbers(length * stride, scale: 6)
            let scores = p
            p.withUnsafeMutableBufferPointer {
                softmaxRows(length: length, stride: stride, causal: causal, window: window, $0.baseAddress!)
            }
            for row in 0..<length {
                let visible = (0..<length).filter { (!causal || $0 <= row) && row - $0 < window }
                let total = visible.reduce(0.0) { $0 + exp(Double(scores[row * stride + $1])) }
                for key in 0..<length {
                    let expected = visible.contains(key) ? exp(Double(scores[row * stride + key])) / total : 0
                    #expect(abs(Double(p[row * stride + key]) - expected) <= 1e-6 * expected)
                }
            }
        }
    }

    @Test func `packed products give a row the same bits at any place among any number of rows`() {
        var noise = Noise(3)
        for (outputs, inputs) in [(1, 1), (8, 128), (13, 29), (16, 32), (33, 40), (96, 64), (200, 17)] {
            let weight: [Float] = noise.numbers(outputs * inputs)
            let bias: [Float] = noise.numbers(outputs)
            let row: [Float] = noise.numbers(inputs)
            let matrix = PackedMatrix<Float>(outputs: outputs, inputs: inputs)
            matrix.pack(weight, outputStride: inputs, inputStride: 1)
            var alone = [Float](repeating: 0, count: outputs)
            alone.withUnsafeMutableBufferPointer {
                matrix.multiply(rows: 1, row, ldx: inputs, bias: bias, into: $0.baseAddress!, ldy: outputs)
            }
            for o in 0..<outputs {
                let exact = (0..<inputs).reduce(Double(bias[o])) {
                    $0 + Double(row[$1]) * Double(weight[o * inputs + $1])
                }
                #expect(abs(Double(alone[o]) - exact) < 2e-5)
            }
            for rows in [2, 3, 5, 11, 12, 13, 29, 64] {
                let x = (0..<rows).flatMap { _ in row }
                var y = [Float](repeating: 0, count: rows * outputs)
                y.withUnsafeMutableBufferPointer {
                    matrix.multiply(rows: rows, x, ldx: inputs, bias: bias, into: $0.baseAddress!, ldy: outputs)
                }
                #expect((0..<rows).allSatisfy { Array(y[$0 * outputs..<($0 + 1) * outputs]) == alone })
            }
        }
    }

    @Test func `cross-entropy with a class mask`() {
        var noise = Noise(9)
        let logits: [Float] = noise.numbers(3 * 11, scale: 5)
        let labels = [2, 10, 0]
        for mask in [nil, (0..<11).map { $0 % 2 == 0 }] {
            var gradient = logits
            var losses = [Float](repeating: 0, count: 3)
            gradient.withUnsafeMutableBufferPointer { g in
                losses.withUnsafeMutableBufferPointer { l in
                    CrossEntropy.rows(
                        3, classes: 11, logits: logits, labels: { labels[$0] }, mask: mask, scale: 0.5,
                        gradient: g.baseAddress, losses: l.baseAddress!)
                }
            }
            for row in 0..<3 {
                let open = (0..<11).filter { mask?[$0] ?? true }
                let total = open.reduce(0.0) { $0 + exp(Double(logits[row * 11 + $1])) }
                #expect(abs(Double(losses[row]) - (log(total) - Double(logits[row * 11 + labels[row]]))) < 2e-6)
                for c in 0..<11 {
                    let p = open.contains(c) ? exp(Double(logits[row * 11 + c])) / total : 0
                    let expected = 0.5 * (p - (c == labels[row] ? 1 : 0))
                    #expect(abs(Double(gradient[row * 11 + c]) - expected) < 1e-6)
                    if !open.contains(c) { #expect(gradient[row * 11 + c] == 0) }
                }
            }
        }
    }
}
