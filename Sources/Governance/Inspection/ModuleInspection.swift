import Adapters
import Diagnostics
import Foundation
import LinearAlgebra
import Tensors

/// The values of one module: what is wrong with them, or their statistics.
struct ModuleInspection {
    /// NaN, infinity, or an update that overflows; the first in this order.
    let failure: Failure?
    let statistics: ModuleStatistics?

    init(_ module: LoRAModule) throws {
        defer {
            module.a.releasePages()
            module.b.releasePages()
        }
        var found: [Failure] = []
        let a = try module.a.statistics()
        let b = try module.b.statistics()
        for tensor in [module.a, module.b, module.bias, module.magnitude].compactMap({ $0 }) {
            if let failure = try ValueCheck.failure(in: tensor) { found.append(failure) }
        }
        if found.isEmpty, let failure = try DeltaBound(module, a: a, b: b).failure() { found.append(failure) }
        failure = found.min { ValueCheck.order($0) < ValueCheck.order($1) }
        statistics = failure == nil ? try ModuleInspection.statistics(of: module, a: a, b: b) : nil
    }

    private static func statistics(
        of module: LoRAModule, a: ValueStatistics, b: ValueStatistics
    ) throws -> ModuleStatistics {
        let isZero = a.zeros == a.count || b.zeros == b.count || module.scale == 0
        let count = min(module.rank, module.dOut, module.dIn)
        let factors = try module.factors()
        let sigma = isZero ? [Double](repeating: 0, count: count) : try factors.singularValues(place: module.name)
        let spectrum = SpectrumStatistics(sigma, rank: module.rank)
        let kurtosis = isZero ? (value: 0, isSampled: false) : try EntryKurtosis.of(factors)
        return ModuleStatistics(
            name: module.name, kind: module.kind, dOut: module.dOut, dIn: module.dIn, rank: module.rank,
            scale: module.scale, singularValues: sigma, frobenius: spectrum.frobenius,
            stableRank: spectrum.stableRank, energyShare: spectrum.energyShare, entropy: spectrum.entropy,
            kurtosis: kurtosis.value, kurtosisIsSampled: kurtosis.isSampled,
            largestFactorEntry: max(a.largestMagnitude, b.largestMagnitude),
            zeroShare: Double(a.zeros + b.zeros) / Double(a.count + b.count),
            hasConstantFactor: a.isConstant || b.isConstant)
    }
}

/// NaN and infinity in single tensors.
enum ValueCheck {
    /// Integers, booleans and container types hold neither.
    static func failure(in tensor: TensorView) throws -> Failure? {
        guard tensor.dtype.isWeight || tensor.dtype.rawValue.hasPrefix("F8_") else { return nil }
        return failure(in: tensor, try tensor.statistics())
    }

    static func failure(in tensor: TensorView, _ values: ValueStatistics) -> Failure? {
        let hint = "the training diverged or the file was damaged: take an earlier checkpoint"
        if let first = values.firstNaN {
            return Failure(
                .weightsNan, "\(values.nans) of \(values.count) values are NaN, the first at \(first)",
                place: tensor.name, hint: hint)
        }
        if let first = values.firstInfinity {
            return Failure(
                .weightsInf, "\(values.infinities) of \(values.count) values are infinite, the first at \(first)",
                place: tensor.name, hint: hint)
        }
        guard values.largestMagnitude > Double(Float.greatestFiniteMagnitude) else { return nil }
        return Failure(.weightsInf, "values do not fit 32 bits: they become infinite", place: tensor.name, hint: hint)
    }

    /// NaN before infinity before an overflowing product.
    static func order(_ failure: Failure) -> Int {
        switch failure.code {
        case .weightsNan: 0
        case .weightsInf: 1
        default: 2
        }
    }
}
