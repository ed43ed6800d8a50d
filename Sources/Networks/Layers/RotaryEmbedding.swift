import Foundation
import Synchronization

/// Rotary position embedding in the "half split" convention of Hugging Face checkpoints:
/// (a, b) ↦ (a cos tω − b sin tω, b cos tω + a sin tω) for the halves a, b of each head at position t.
public struct RotaryEmbedding: Sendable, Hashable {
    public enum Scaling: Sendable, Hashable {
        case none
        /// ω / factor.
        case linear(factor: Double)
        /// Long wavelengths are divided by `factor`, short ones kept, those between interpolated (Llama 3.1).
        case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalPositions: Double)
    }

    public let headWidth: Int
    /// Base θ: ω_j = θ^(−2j / headWidth).
    public let base: Double
    public let scaling: Scaling

    /// Angular frequencies ω_j, j = 0 … headWidth/2 − 1.
    public var frequencies: [Double] {
        (0..<headWidth / 2).map { j in
            let omega = pow(base, -2 * Double(j) / Double(headWidth))
            switch scaling {
            case .none: return omega
            case .linear(let factor): return omega / factor
            case .llama3(let factor, let low, let high, let original):
                let wavelength = 2 * Double.pi / omega
                if wavelength < original / high { return omega }
                if wavelength > original / low { return omega / factor }
                let share = (original / wavelength - low) / (high - low)
                return (1 - share) * omega / factor + share * omega
            }
        }
    }
}

/// cos and sin of all angles up to a number of positions.
final class RotaryTable<S: NetworkScalar>: Sendable {
    let positions: Int
    private let half: Int
    private let cosines: [S]
    private let sines: [S]

    init(_ embedding: RotaryEmbedding, positions: Int) {
        self.positions = positions
        half = embedding.headWidth / 2
        let frequencies = embedding.frequencies
        let angles = (0..<positions).flatMap { t in frequencies.map { Double(t) * $0 } }
        cosines = angles.map { S(cos($0)) }
        sines = angles.map { S(sin($0)) }
    }

    /// Rotates `heads` consecutive heads of each row, forward or (for gradients) back.
    func rotate(
        rows: Int, firstPosition: Int, heads: Int, _ x: UnsafeMutablePointer<S>, ldx: Int, backward: Bool
    ) {
        cosines.withUnsafeBufferPointer { cosines in
            sines.withUnsafeBufferPointer { sines in
                guard let c = cosines.baseAddress, let s = sines.baseAddress else { return }
                rotateHeads(
                    rows: rows, heads: heads, half: half, x, ldx: ldx, cosines: c + firstPosition * half,
                    sines: s + firstPosition * half, sign: backward ? -1 : 1)
            }
        }
    }
}

/// The table of one model, made longer when a longer sequence comes.
final class RotaryCache<S: NetworkScalar>: Sendable {
    private let embedding: RotaryEmbedding
    private let current: Mutex<RotaryTable<S>>

    init(_ embedding: RotaryEmbedding) {
        self.embedding = embedding
        current = Mutex(RotaryTable(embedding, positions: 0))
    }

    func table(positions: Int) -> RotaryTable<S> {
        current.withLock { table in
            if table.positions < positions {
                table = RotaryTable(embedding, positions: max(128, 2 * positions))
            }
            return table
        }
    }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func rotateHeads<S: NetworkScalar>(
    rows: Int, heads: Int, half: Int, _ x: UnsafeMutablePointer<S>, ldx: Int, cosines: UnsafePointer<S>,
    sines: UnsafePointer<S>, sign: S
) {
    for row in 0..<rows {
        let c = cosines + row * half
        let s = sines + row * half
        for head in 0..<heads {
            let a = x + row * ldx + head * 2 * half
            let b = a + half
            for j in 0..<half {
                let first = a[j]
                let second = b[j]
                a[j] = first * c[j] - second * (sign * s[j])
                b[j] = second * c[j] + first * (sign * s[j])
            }
        }
    }
}
