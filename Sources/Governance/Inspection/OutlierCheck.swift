import Diagnostics
import Foundation

/// Modules whose update stands out: among the modules of the same role in the adapter, and among the same modules of
/// other adapters of the bank.
///
/// Statistics are hints, no proof: a planted update can be made to stay below any threshold.
struct OutlierCheck {
    static let fewestModules = 6
    static let fewestPeers = 20
    /// |z| of the logarithm of the norm.
    static let normLimit = 8.0
    /// Share of σ1² in Σσ², with rank ≥ 4 and a norm above `spectralNormLimit`.
    static let energyLimit = 0.98
    static let spectralNormLimit = 4.0
    static let entropyLimit = -6.0
    /// Norms within about 40 % of one another are alike, however closely the rest agrees.
    static let logNormFloor = 0.03
    static let entropyFloor = 0.02

    let modules: [ModuleStatistics]
    /// Norms of the module of the same name in other adapters.
    let peerNorms: [String: [Double]]

    func findings() -> [Finding] {
        let live = modules.filter { !$0.isZero }
        let groups = Dictionary(grouping: live) { ModuleRole.role(of: $0.name) }
        let inside = groups.values.flatMap(findings(inGroup:))
        return (inside + live.compactMap(findingAmongPeers)).sorted { ($0.place, $0.code) < ($1.place, $1.code) }
    }

    private func findings(inGroup group: [ModuleStatistics]) -> [Finding] {
        guard group.count >= OutlierCheck.fewestModules else { return [] }
        let norms = RobustScore.scores(group.map { log($0.frobenius) }, floor: OutlierCheck.logNormFloor)
        let entropies = RobustScore.scores(group.map(\.entropy), floor: OutlierCheck.entropyFloor)
        return zip(group, zip(norms, entropies)).flatMap { module, scores in
            [normFinding(module, scores.0), spectralFinding(module, norm: scores.0, entropy: scores.1)]
                .compactMap { $0 }
        }
    }

    private func normFinding(_ module: ModuleStatistics, _ score: Double) -> Finding? {
        guard abs(score) > OutlierCheck.normLimit else { return nil }
        return Finding(
            .weightsOutlier, .warning, place: module.name,
            details: "norm \(text(module.frobenius)), robust z \(text(score)) among modules of its role")
    }

    private func spectralFinding(_ module: ModuleStatistics, norm: Double, entropy: Double) -> Finding? {
        let concentrated =
            module.energyShare > OutlierCheck.energyLimit && module.rank >= 4
            && norm > OutlierCheck.spectralNormLimit
        guard concentrated || entropy < OutlierCheck.entropyLimit else { return nil }
        return Finding(
            .weightsSpectralOutlier, .warning, place: module.name,
            details: "share of the first singular value \(text(module.energyShare)), robust z of the entropy "
                + text(entropy))
    }

    private func findingAmongPeers(_ module: ModuleStatistics) -> Finding? {
        let peers = (peerNorms[module.name] ?? []).filter { $0 > 0 }
        guard peers.count >= OutlierCheck.fewestPeers else { return nil }
        let values = peers.map { log($0) } + [log(module.frobenius)]
        let score = RobustScore.scores(values, floor: OutlierCheck.logNormFloor)[peers.count]
        guard abs(score) > OutlierCheck.normLimit else { return nil }
        return Finding(
            .weightsOutlier, .warning, place: module.name,
            details: "norm \(text(module.frobenius)), robust z \(text(score)) among \(peers.count) adapters of the bank"
        )
    }

    private func text(_ value: Double) -> String { String(format: "%.3g", value) }
}
