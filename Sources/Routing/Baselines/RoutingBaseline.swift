import Diagnostics
import Evaluation

/// One row of a table: what a subject made of the samples, and how it was set.
public struct RoutedResult: Sendable {
    public var predictions: RoutedPredictions
    /// What was chosen on validation samples, and the like; empty: nothing.
    public var detail: String

    public init(_ predictions: RoutedPredictions, detail: String = "") {
        self.predictions = predictions
        self.detail = detail
    }

    public var label: String { predictions.label }
}

/// Something that a trained router must beat (LoRA-Mixer reference, section 7). One file per baseline; registering it in
/// ``RoutingBaselines/standard`` is one line.
public protocol RoutingBaseline: Sendable {
    /// As the table names it.
    var id: String { get }
    /// One sentence for the help.
    var summary: String { get }
    /// False: it needs neither labels nor inputs of a training split.
    var needsTraining: Bool { get }

    /// The baseline's rows; none where it has nothing to say (no tasks, no experts of its kind).
    func results(_ context: BaselineContext) throws -> [RoutedResult]
}

/// The baselines that there are, in the order of the table.
public enum RoutingBaselines {
    public static let standard: [any RoutingBaseline] = [
        BackboneBaseline(), SingleExperts(), BestSingle(), OracleTask(), OracleExpert(), UniformMixture(),
        StaticMerges(), Arrow(), SpectR(), CentroidRetrieval(), GlobalDomain(), LoraHub(), GateVectors(),
    ]

    /// - Throws: `usage.bad_argument` for names that there are not.
    public static func named(_ names: [String]) throws -> [any RoutingBaseline] {
        try names.map { name in
            guard let found = standard.first(where: { $0.id == name }) else {
                throw Failure(
                    .usageBadArgument, "there is no baseline '\(name)'",
                    hint: Spelling.hint(for: name, among: standard.map(\.id))
                        ?? "baselines: " + standard.map(\.id).joined(separator: ", "))
            }
            return found
        }
    }
}
