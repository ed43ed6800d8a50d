import Foundation
import Testing

@testable import Tensors

/// Products with both sides rounded to bfloat16.
@Suite struct BFloat16ProductTests {
    struct Operands {
        var (rows, outputs, inputs): (Int, Int, Int)
        var x, w, bias: [Float]
        var packed: UnsafeMutablePointer<UInt16>

        init(_ rows: Int, _ outputs: Int, _ inputs: Int) {
            (self.rows, self.outputs, self.inputs) = (rows, outputs, inputs)
            func numbers(_ count: Int, _ stream: UInt64) -> [Float] {
                let random = CounterRandom(seed: 9, stream: stream)
                return (0..<count).map { 4 * random.uniform(UInt64($0)) - 2 }
            }
            x = numbers(rows * inputs, 1)
            w = numbers(outputs * inputs, 2)
            bias = numbers(outputs, 3)
            packed = UnsafeMutableRawPointer.allocate(
                byteCount: 2 * BFloat16Product.count(outputs: outputs, inputs: inputs), alignment: 64
            ).assumingMemoryBound(to: UInt16.self)
            BFloat16Product.pack(
                outputs: outputs, inputs: inputs, weight: w, outputStride: inputs, inputStride: 1, into: packed)
        }

        func product(_ kernel: BFloat16Product.Kernel, rows part: Range<Int>? = nil, adding: Bool = false) -> [Float] {
            let part = part ?? 0..<rows
            var y = [Float](repeating: 0.5, count: part.count * outputs)
            x.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                BFloat16Product.multiply(
                    rows: part.count, outputs: outputs, inputs: inputs, x: base + part.lowerBound * inputs, ldx: inputs,
                    packed: packed, bias: bias, y: &y, ldy: outputs, accumulate: adding, kernel: kernel)
            }
            return y
        }

        /// In double precision from rounded numbers.
        var exact: [Double] {
            (0..<rows * outputs).map { place in
                let (row, output) = (place / outputs, place % outputs)
                return (0..<inputs).reduce(Double(bias[output])) { sum, i in
                    sum + Double(BFloat16Product.rounded(x[row * inputs + i]))
                        * Double(BFloat16Product.rounded(w[output * inputs + i]))
                }
            }
        }
    }

    @Test(arguments: [[1, 1, 1], [5, 16, 8], [13, 37, 33], [29, 70, 64], [3, 17, 2]])
    func `every kernel gives the same bits, and those of the definition`(_ shape: [Int]) {
        let operands = Operands(shape[0], shape[1], shape[2])
        defer { operands.packed.deallocate() }
        let first = operands.product(.portable)
        for kernel in BFloat16Product.Kernel.allCases where kernel.isAvailable {
            #expect(operands.product(kernel) == first, "\(kernel)")
        }
        #expect(BFloat16Product.Kernel.best.isAvailable)
        let exact = operands.exact
        #expect(zip(first, exact).allSatisfy { abs(Double($0) - $1) < 2e-5 * (1 + abs($1)) })
        let added = operands.product(BFloat16Product.Kernel.best, adding: true)
        #expect(zip(added, first).allSatisfy { abs($0 - $1 - 0.5) < 1e-5 * (1 + abs($1)) })
    }

    @Test func `a row's result does not depend on the rows beside it`() {
        let operands = Operands(31, 50, 40)
        defer { operands.packed.deallocate() }
        for kernel in BFloat16Product.Kernel.allCases where kernel.isAvailable {
            let all = operands.product(kernel)
            for part in [0..<1, 7..<9, 12..<31, 30..<31] {
                let some = operands.product(kernel, rows: part)
                #expect(some == Array(all[part.lowerBound * 50..<part.upperBound * 50]), "\(kernel) \(part)")
            }
        }
    }

    @Test func `rounding is to nearest even and keeps what is no number`() {
        let cases: [(Float, Float)] = [
            (1, 1), (1 + 0x1p-8, 1), (1 + 0x1.8p-7, 1 + 0x1p-6), (1 + 0x1.02p-8, 1 + 0x1p-7), (-3.14159, -3.140625),
            (.infinity, .infinity), (.greatestFiniteMagnitude, .infinity), (0x1p-130, 0), (0, 0),
        ]
        for (value, expected) in cases { #expect(BFloat16Product.rounded(value) == expected, "\(value)") }
        #expect(BFloat16Product.rounded(.nan).isNaN)
        #expect(BFloat16Product.rounded(-0x1p-140).sign == .minus)
    }
}
