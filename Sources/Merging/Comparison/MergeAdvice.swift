/// What a comparison suggests for merging, in words, with the numbers it rests on.
///
/// Rules of thumb, no proof: adapters that share no directions and no signs add up without harm; adapters that point the
/// same way can be averaged; adapters that use the same directions with other signs disturb one another, and methods that
/// separate directions (TSV-M, Iso-C, KnOTS) keep more of each. Only an evaluation decides.
public struct MergeAdvice: Sendable {
    public var sentence: String
    /// Ids of methods to try first; only such as this program has.
    public var methods: [String]
    /// The numbers behind it.
    public var grounds: [String]

    init(sentence: String, methods: [String], grounds: [String]) {
        self.sentence = sentence
        self.methods = methods
        self.grounds = grounds
    }

    init(for comparison: AdapterComparison, registry: MethodRegistry = .standard) {
        let cosines = MergeAdvice.offDiagonal(comparison.cosine)
        guard !cosines.isEmpty else {
            self.init(
                sentence:
                    "The adapters have no module in common that both change: a merge would only put them side by side.",
                methods: ["cat"], grounds: ["no pair has a cosine"])
            return
        }
        let cosine = MergeAdvice.mean(cosines)
        let conflict = MergeAdvice.mean(MergeAdvice.offDiagonal(comparison.signConflict))
        let overlap = MergeAdvice.mean(MergeAdvice.offDiagonal(comparison.subspaceOverlap))
        let lowest = cosines.min() ?? 0
        let advice: (String, [String]) =
            if lowest < -0.1 {
                (
                    "Some adapters work against each other (negative cosine): a plain sum cancels what they learned. "
                        + "Leave one out, or use a method that resolves conflicts.",
                    ["ties", "tsv_m", "knots_ties"]
                )
            } else if cosine > 0.8 {
                ("The adapters are nearly the same update: their mean loses little.", ["linear", "slerp"])
            } else if cosine < 0.1, overlap < 0.2 {
                (
                    "The adapters hardly touch one another: a sum keeps most of each, and a mean would shrink them all.",
                    ["task_arithmetic", "tsv_m"]
                )
            } else {
                (
                    "The adapters share directions and disagree in part: separate the directions, and compare with a mean "
                        + "on your own data.",
                    ["tsv_m", "iso_c", "knots_ties", "linear"]
                )
            }
        let number: (Double) -> String = { MergeAdvice.rounded($0) }
        self.init(
            sentence: advice.0, methods: advice.1.filter { registry.method($0, compatibility: .none) != nil },
            grounds: [
                "mean cosine \(number(cosine)), smallest \(number(lowest))",
                "mean sign conflict \(number(conflict)) (0.5 is chance)",
                "mean subspace overlap \(number(overlap)) (1 is the same space)",
                "an exact sum needs rank \(comparison.ranks.exact) of at most \(comparison.ranks.sumOfRanks)",
            ])
    }

    private static func offDiagonal(_ matrix: [[Double?]]) -> [Double] {
        matrix.indices.flatMap { row in matrix[row].indices.compactMap { $0 > row ? matrix[row][$0] : nil } }
    }

    private static func mean(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }

    private static func rounded(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
}
