import Diagnostics
import LinearAlgebra
import Tensors

/// Spectra of slots and overlaps between them, as the lines of `spectra.csv` and `overlap.csv`.
///
/// A slot is a dictionary site → update; the line of the site `all` sums up the sites.
public struct DirectionAnalysis: Sendable {
    private var spectrumLines: [String] = []
    private var overlapLines: [String] = []

    public init() {}

    public static let spectraHeading = "slot,task,site,index,sigma,norm,effective_rank,stable_rank,energy"
    public static let overlapHeading =
        "a,b,site,cosine,left_overlap,right_overlap,share_inside,sign_agreement,conflict_mass"

    public var spectraCSV: String { ([Self.spectraHeading] + spectrumLines).joined(separator: "\n") + "\n" }
    public var overlapCSV: String { ([Self.overlapHeading] + overlapLines).joined(separator: "\n") + "\n" }

    /// Adds one line per singular value of each site: `energy` is the share of Σσ² up to and with this one.
    ///
    /// - Parameters:
    ///   - slot: `slow`, `mid`, `fast`, `fast_0`, ….
    ///   - task: number of the task after which the slot looked so.
    /// - Throws: `numeric.no_convergence`.
    public mutating func addSpectra(slot: String, task: Int, updates: [String: LowRankUpdate]) throws {
        for site in updates.keys.sorted() {
            guard let update = updates[site] else { continue }
            let spectrum = try UpdateSpectrum(update)
            for (index, sigma) in spectrum.sigma.enumerated() {
                let numbers = [
                    sigma, spectrum.norm, spectrum.effectiveRank, spectrum.stableRank, spectrum.energy(top: index + 1),
                ]
                spectrumLines.append(
                    "\(slot),\(task),\(site),\(index)" + numbers.map { "," + ($0.map { "\($0)" } ?? "") }.joined())
            }
        }
    }

    /// Adds one line per site that both have, and one for all of them together.
    ///
    /// - Parameters:
    ///   - first: name of the first slot, e.g. `fast@2`.
    ///   - second: name of the second slot, e.g. `slow@1`.
    ///   - entries: compare signs of single entries, too.
    /// - Throws: `numeric.no_convergence`.
    public mutating func addOverlap(
        _ first: String, _ a: [String: LowRankUpdate], _ second: String, _ b: [String: LowRankUpdate],
        entries: Bool = true
    ) throws {
        var overlaps: [UpdateOverlap] = []
        var (inner, normA, normB) = (0.0, 0.0, 0.0)
        for site in a.keys.sorted() {
            guard let x = a[site], let y = b[site] else { continue }
            let overlap = try UpdateOverlap(x, y, entries: entries)
            overlaps.append(overlap)
            inner += try x.inner(y)
            normA += try x.inner(x)
            normB += try y.inner(y)
            overlapLines.append(Self.line(first, second, site, overlap))
        }
        guard !overlaps.isEmpty else { return }
        func mean(_ values: [Double?]) -> Double? { SeedStatistics(values.compactMap { $0 }).mean }
        let norms = (normA * normB).squareRoot()
        let numbers = [
            norms > 0 ? inner / norms : nil, mean(overlaps.map(\.left)), mean(overlaps.map(\.right)),
            mean(overlaps.map(\.shareInside)), mean(overlaps.map(\.signAgreement)), mean(overlaps.map(\.conflictMass)),
        ]
        overlapLines.append(
            "\(first),\(second),all" + numbers.map { "," + ($0.map { "\($0)" } ?? "") }.joined())
    }

    private static func line(_ first: String, _ second: String, _ site: String, _ overlap: UpdateOverlap) -> String {
        let numbers = [
            overlap.cosine, overlap.left, overlap.right, overlap.shareInside, overlap.signAgreement,
            overlap.conflictMass,
        ]
        return "\(first),\(second),\(site)" + numbers.map { "," + ($0.map { "\($0)" } ?? "") }.joined()
    }
}
