import LinearAlgebra
import Networks
import Tensors
import Training

/// Keeps a fast slot from pulling important weights of the slow one across zero (PAM, section 9).
struct Alignment {
    let settings: RunConfiguration.Alignment
    let sharesA: Bool

    /// What an alignment did, summed over sites.
    struct Record {
        var entries = 0
        var conflicts = 0
        var massBefore = 0.0
        var massAfter = 0.0
        var total = 0.0
    }

    /// PAM-lite during training: F ← F∘(1 − conflict), then back to rank r (section 9.2).
    ///
    /// - Returns: nil when there is nothing to align with.
    func align(_ fast: LoRASlot<Float>, with slow: LoRASlot<Float>) throws -> Record? {
        let slowUpdates = try slow.updates()
        if slowUpdates.values.allSatisfy(\.isZero) { return nil }
        let fastUpdates = try fast.updates()
        var record = Record()
        for pair in fast.pairs {
            guard let s = slowUpdates["\(pair.site)"], let f = fastUpdates["\(pair.site)"], !f.isZero else { continue }
            if sharesA {
                var b = f.b
                suppress(&b, against: s.b, &record)
                _ = fast.b(pair).update(fromContentsOf: b.scaled(by: 1 / pair.scale).inFloat.elements)
                continue
            }
            let target = try s.dense()
            var dense = try f.dense()
            suppress(&dense, against: target, &record)
            let svd = try thinSVD(dense, place: "\(pair.site)").truncated(to: pair.rank)
            let roots = svd.sigma.map { ($0 / pair.scale).squareRoot() }
            _ = fast.b(pair).update(fromContentsOf: svd.u.scalingColumns(by: roots).inFloat.elements)
            _ = fast.a(pair).update(fromContentsOf: svd.vt.scalingRows(by: roots).inFloat.elements)
            let projected = try svd.product()
            record.massAfter += conflictMass(projected, target)
        }
        return record
    }

    private func conflictMass(_ f: Matrix<Double>, _ s: Matrix<Double>) -> Double {
        let threshold = PAMThreshold.value(s.elements, share: settings.share)
        var mass = 0.0
        for index in f.elements.indices where isConflict(f.elements[index], s.elements[index], threshold) {
            mass += abs(f.elements[index])
        }
        return mass
    }

    private func isConflict(_ f: Double, _ s: Double, _ threshold: Double) -> Bool {
        guard abs(s) >= threshold, s != 0, f != 0 else { return false }
        return settings.criterion == .residual ? (f > 0) != (s > 0) : (f + s) * s < 0
    }

    private func suppress(_ f: inout Matrix<Double>, against s: Matrix<Double>, _ record: inout Record) {
        let threshold = PAMThreshold.value(s.elements, share: settings.share)
        for index in f.elements.indices {
            let value = f.elements[index]
            record.entries += 1
            record.total += abs(value)
            guard isConflict(value, s.elements[index], threshold) else { continue }
            record.conflicts += 1
            record.massBefore += abs(value)
            f.elements[index] = 0
        }
    }

    /// Faithful PAM: conflicting entries of the factors become zero or those of the global LoRA; their moments go too.
    func alignFactors(
        _ clone: LoRASlot<Float>, with global: [Float], optimizer: Optimizer<Float>, group: Int
    ) -> Record {
        var record = Record()
        var cleared: [Int] = []
        for pair in clone.pairs {
            for range in [pair.a, pair.b] {
                let threshold = PAMThreshold.value(global[range].map(Double.init), share: settings.share)
                for index in range {
                    let (theta, base) = (clone.values[index], global[index])
                    record.entries += 1
                    record.total += Double(abs(theta))
                    guard Double(abs(base)) >= threshold, base * theta < 0 else { continue }
                    record.conflicts += 1
                    record.massBefore += Double(abs(theta))
                    clone.values[index] = settings.action == .global ? base : 0
                    cleared.append(index)
                }
            }
        }
        optimizer.clearMoments(group: group, at: cleared)
        return record
    }
}

/// The magnitude from which an entry belongs to the top share of its tensor.
enum PAMThreshold {
    /// The k-th largest magnitude, k = ⌊share·N + 1e-9⌋, zeros included; infinite for k = 0.
    static func value(_ values: [Double], share: Double) -> Double {
        let k = Int(share * Double(values.count) + 1e-9)
        guard k > 0 else { return .infinity }
        return values.map { abs($0) }.sorted(by: >)[min(k, values.count) - 1]
    }
}
