import Evaluation

/// The subjects of a router's evaluation side by side, the trained router first.
public struct RoutingTable: Sendable {
    public struct Row: Sendable {
        public let result: RoutedResult
        /// (accuracy − backbone)/(oracle task − backbone); nil where one is missing or the two are equal.
        public let normalised: Double?
        /// Router − this subject, with a paired bootstrap interval; nil for the router itself.
        public let difference: PairedBootstrap?
        /// True for the trained router in any of its modes.
        public let isRouter: Bool

        public var label: String { result.label }
        /// May be said only when the interval lies above zero.
        public var isBeaten: Bool { !isRouter && (difference?.firstIsBetter ?? false) }
    }

    public static let resamples = 1_000

    public let rows: [Row]
    /// The subject that the router was set up for.
    public let main: String
    /// The router with every expert's probability as its weight, where it ran.
    private let dense: String?

    /// - Parameters:
    ///   - router: predictions of the trained router, as it was set up first.
    ///   - dense: label of the router's predictions in mode `soft`, if they are among them.
    ///   - seed: of the bootstrap.
    public init(router: [RoutedResult], dense: String? = nil, baselines: [RoutedResult], seed: UInt64) {
        let all = router + baselines
        let main = router.first
        self.dense = dense
        self.main = main?.label ?? ""
        let base = all.first { $0.label == "backbone" }?.predictions.tally.accuracyGlobal
        let top = all.first { $0.label == "oracle-task" }?.predictions.tally.accuracyGlobal
        rows = all.enumerated().map { place, result in
            var normalised: Double?
            if let base, let top, top != base, let own = result.predictions.tally.accuracyGlobal {
                normalised = (own - base) / (top - base)
            }
            let difference = main.flatMap { main in
                result.label == main.label
                    ? nil
                    : PairedBootstrap(
                        first: main.predictions.tally.isCorrect, second: result.predictions.tally.isCorrect,
                        resamples: Self.resamples, seed: seed)
            }
            return Row(
                result: result, normalised: normalised, difference: difference, isRouter: place < router.count)
        }
    }

    /// acc(soft) − acc(as it was set up): what sparse use of a densely trained router costs; nil without both runs.
    public var denseToSparseGap: Double? {
        guard let soft = rows.first(where: { $0.label == dense })?.result.predictions.tally.accuracyGlobal,
            let sparse = rows.first(where: { $0.label == main })?.result.predictions.tally.accuracyGlobal
        else { return nil }
        return soft - sparse
    }

    /// Baselines whose interval lies above zero; oracles and single experts count like all others.
    public var beaten: [String] { rows.filter(\.isBeaten).map(\.label) }
    /// Baselines that the router does not provably beat.
    public var unbeaten: [String] { rows.filter { !$0.isRouter && !$0.isBeaten }.map(\.label) }
}
