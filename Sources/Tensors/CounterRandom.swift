import CVector
import Foundation

/// Random numbers that are a pure function of (seed, stream, position): the generator Philox4x32-10.
///
/// The key is the 64-bit seed, low half first. The counter is, from its first to its last 32-bit word: low and high
/// half of the stream number, low and high half of `index / 4`; number `index` is word `index % 4` of the block.
/// Results therefore do not depend on the order in which, or the thread on which, numbers are drawn.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
public struct CounterRandom: Sendable, Hashable {
    public let seed: UInt64
    public let stream: UInt64

    public init(seed: UInt64, stream: UInt64) {
        self.seed = seed
        self.stream = stream
    }

    /// A stream named by parts, e.g. method, adapter content id, module name.
    public init(seed: UInt64, stream parts: String...) {
        self.init(seed: seed, stream: StreamHash.hash64(parts))
    }

    /// One block of the generator: four words from a counter and a key.
    public static func philox4x32(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var c = counter
        var k = key
        for _ in 0..<10 {
            let first = UInt64(c.x) &* 0xD251_1F53
            let second = UInt64(c.z) &* 0xCD9E_8D57
            c = SIMD4(
                UInt32(truncatingIfNeeded: second >> 32) ^ c.y ^ k.x, UInt32(truncatingIfNeeded: second),
                UInt32(truncatingIfNeeded: first >> 32) ^ c.w ^ k.y, UInt32(truncatingIfNeeded: first))
            k.x &+= 0x9E37_79B9
            k.y &+= 0xBB67_AE85
        }
        return c
    }

    /// Random word number `index`.
    public func word(_ index: UInt64) -> UInt32 {
        let block = index / 4
        let counter = SIMD4(
            UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32),
            UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32))
        let key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        return CounterRandom.philox4x32(counter: counter, key: key)[Int(index % 4)]
    }

    /// Number `index` of the uniform distribution on [0, 1), a multiple of 2⁻²⁴.
    public func uniform(_ index: UInt64) -> Float { CounterRandom.uniform(fromWord: word(index)) }

    @inline(__always)
    static func uniform(fromWord word: UInt32) -> Float { Float(Int32(bitPattern: word >> 8)) * 0x1p-24 }

    /// Words number `start`, `start + 1`, … into `target`.
    public func fillWords(from start: UInt64, into target: UnsafeMutableBufferPointer<UInt32>) {
        guard let output = target.baseAddress else { return }
        var done = 0
        while done < target.count, (start &+ UInt64(done)) % 4 != 0 {
            output[done] = word(start &+ UInt64(done))
            done += 1
        }
        while done + 32 <= target.count {
            vec_philox4x32x8(seed, stream, (start &+ UInt64(done)) / 4, output + done)
            done += 32
        }
        while done < target.count {
            output[done] = word(start &+ UInt64(done))
            done += 1
        }
    }

    /// Uniform numbers `start`, `start + 1`, … into `target`.
    public func fillUniforms(from start: UInt64, into target: UnsafeMutableBufferPointer<Float>) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 1024) { words in
            var done = 0
            while done < target.count {
                let count = min(1024, target.count - done)
                fillWords(from: start &+ UInt64(done), into: UnsafeMutableBufferPointer(rebasing: words[..<count]))
                for i in 0..<count { target[done &+ i] = CounterRandom.uniform(fromWord: words[i]) }
                done += count
            }
        }
    }

    /// Standard normal numbers `start`, `start + 1`, … into `target`.
    ///
    /// Numbers 2j and 2j+1 come from the uniform numbers u = 2j and v = 2j+1 by the Box–Muller transform:
    /// √(−2 ln(1−u)) · cos 2πv and √(−2 ln(1−u)) · sin 2πv, computed in double precision.
    public func fillNormals(from start: UInt64, into target: UnsafeMutableBufferPointer<Float>) {
        var done = 0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 1024) { uniforms in
            while done < target.count {
                let first = start &+ UInt64(done)
                let skip = Int(first % 2)
                let count = min(1024 - skip, target.count - done)
                let drawn = (skip + count + 1) & ~1
                fillUniforms(from: first - UInt64(skip), into: UnsafeMutableBufferPointer(rebasing: uniforms[..<drawn]))
                for pair in stride(from: 0, to: drawn, by: 2) {
                    let radius = (-2 * log(1 - Double(uniforms[pair]))).squareRoot()
                    let angle = 2 * Double.pi * Double(uniforms[pair + 1])
                    uniforms[pair] = Float(radius * cos(angle))
                    uniforms[pair + 1] = Float(radius * sin(angle))
                }
                for i in 0..<count { target[done + i] = uniforms[skip + i] }
                done += count
            }
        }
    }

    /// A rows×columns matrix of standard normal numbers 0, 1, … in row-major order.
    public func normalMatrix(rows: Int, columns: Int) -> Matrix<Float> {
        Matrix(rows: rows, columns: columns, writtenBy: { fillNormals(from: 0, into: $0) })
    }
}
