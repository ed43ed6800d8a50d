import Diagnostics
import Foundation
import LinearAlgebra
import Tensors
import WeightFiles

/// The floor beside a merge: the same bytes read and written on the same number of threads, and for methods of the joint
/// core the same products on data that is in cache already.
struct ReferenceRun {
    let inputs: [String]
    let outputBytes: Int
    let threads: Int
    /// (length, total rank) of every factor stack.
    let stacks: [(length: Int, rank: Int)]
    let hasProducts: Bool
    let target: String

    func run() throws {
        try moveBytes()
        if hasProducts { try multiplyAll() }
    }

    /// Every input byte is read once, as many bytes as the result has are written and synchronised.
    private func moveBytes() throws {
        let file = try AtomicFile(path: target, overwrite: true, expectedSize: outputBytes, bypassingCache: true)
        let maps = try inputs.map { try MappedFile(path: $0) }
        let total = maps.reduce(0) { $0 + $1.bytes.count }
        let step = 4 << 20
        let failures = FailureBox()
        DispatchQueue.concurrentPerform(iterations: threads) { worker in
            var buffer = [UInt8](repeating: 0, count: step)
            do {
                for (index, start) in stride(from: 0, to: max(total, outputBytes), by: step).enumerated()
                where index % threads == worker {
                    ReferenceRun.read(maps, start, &buffer)
                    guard start < outputBytes else { continue }
                    let count = min(step, outputBytes - start)
                    try buffer.withUnsafeBytes {
                        try file.write(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: start)
                    }
                }
            } catch {
                failures.set(error)
            }
        }
        if let error = failures.value { throw error }
        try file.commit()
    }

    private static func read(_ maps: [MappedFile], _ start: Int, _ buffer: inout [UInt8]) {
        var start = start
        for map in maps {
            if start < map.bytes.count {
                let count = min(buffer.count, map.bytes.count - start)
                buffer.withUnsafeMutableBytes {
                    $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: map.bytes[start..<start + count]))
                }
                map.release(start..<start + count)
                return
            }
            start -= map.bytes.count
        }
    }

    /// One symmetric product in double and one product in single precision per factor stack, in tiles of 512.
    private func multiplyAll() throws {
        let failures = FailureBox()
        DispatchQueue.concurrentPerform(iterations: threads) { worker in
            do {
                for (index, stack) in stacks.enumerated() where index % threads == worker {
                    let double = Matrix<Double>(rows: min(512, stack.length), columns: stack.rank)
                    let single = Matrix<Float>(rows: min(512, stack.length), columns: stack.rank)
                    let small = Matrix<Float>(rows: stack.rank, columns: stack.rank)
                    for _ in 0..<(stack.length + 511) / 512 {
                        _ = try symmetricProduct(double, transposed: true)
                        _ = try multiply(single, small)
                    }
                }
            } catch {
                failures.set(error)
            }
        }
        if let error = failures.value { throw error }
    }
}

/// The first error of several threads.
final class FailureBox: @unchecked Sendable {
    private let lock = NSLock()
    private var first: (any Error)?

    func set(_ error: any Error) { lock.withLock { if first == nil { first = error } } }
    var value: (any Error)? { lock.withLock { first } }
}
