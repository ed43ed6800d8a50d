import Adapters
import Diagnostics

/// What an inspection found out about one adapter or file.
public struct InspectionReport: Sendable {
    public enum Verdict: String, Sendable, CaseIterable {
        /// Nothing of level warning or above.
        case clean
        case warnings
        /// It cannot be used; `failure` says why.
        case refused
    }

    /// In order of discovery; a refusal is the last one, with level error and its code.
    public var findings: [Finding]
    /// Sorted by module name; empty when the input was refused before its values could be read.
    public var modules: [ModuleStatistics]
    public var failure: Failure?

    public init(findings: [Finding], modules: [ModuleStatistics], failure: Failure?) {
        self.findings = findings
        self.modules = modules
        self.failure = failure
    }

    public var verdict: Verdict {
        if failure != nil { return .refused }
        return findings.contains { $0.level >= .warning } ? .warnings : .clean
    }

    /// Throws the reason of a refusal; returns otherwise.
    public func throwIfRefused() throws {
        if let failure { throw failure }
    }
}

/// Statistics of one module, on its update ΔW = scale · B · A in double precision.
public struct ModuleStatistics: Sendable {
    public var name: String
    public var kind: ModuleKind
    public var dOut: Int
    public var dIn: Int
    public var rank: Int
    public var scale: Double
    /// min(rank, dOut, dIn) values, falling.
    public var singularValues: [Double]
    public var frobenius: Double
    /// ‖ΔW‖F² / σ1²; 0 for a zero update.
    public var stableRank: Double
    /// σ1² / Σσ², in 0…1; 0 for a zero update.
    public var energyShare: Double
    /// Entropy of σ²/Σσ² divided by log rank, in 0…1; 0 for rank 1 and for a zero update.
    public var entropy: Double
    /// Kurtosis of the entries of ΔW (3 for normal); 0 for a zero update.
    public var kurtosis: Double
    /// The kurtosis comes from a regular grid of rows and columns, not from every entry.
    public var kurtosisIsSampled: Bool
    /// max |x| over A and B as stored.
    public var largestFactorEntry: Double
    /// Share of exact zeros in A and B, in 0…1.
    public var zeroShare: Double
    /// All entries of A, or all of B, are one and the same number.
    public var hasConstantFactor: Bool

    /// True when ΔW is exactly zero.
    public var isZero: Bool { frobenius == 0 }
    public var sigma1: Double { singularValues.first ?? 0 }

    public init(
        name: String, kind: ModuleKind, dOut: Int, dIn: Int, rank: Int, scale: Double, singularValues: [Double],
        frobenius: Double, stableRank: Double, energyShare: Double, entropy: Double, kurtosis: Double,
        kurtosisIsSampled: Bool, largestFactorEntry: Double, zeroShare: Double,
        hasConstantFactor: Bool
    ) {
        self.name = name
        self.kind = kind
        self.dOut = dOut
        self.dIn = dIn
        self.rank = rank
        self.scale = scale
        self.singularValues = singularValues
        self.frobenius = frobenius
        self.stableRank = stableRank
        self.energyShare = energyShare
        self.entropy = entropy
        self.kurtosis = kurtosis
        self.kurtosisIsSampled = kurtosisIsSampled
        self.largestFactorEntry = largestFactorEntry
        self.zeroShare = zeroShare
        self.hasConstantFactor = hasConstantFactor
    }
}
