import Reports
import Routing
import WeightFiles

/// What `recipe learn` found, as JSON and text.
struct RecipeLearnOutcome {
    var recipe: String
    var suite: String
    var learning: CatLearning.Outcome
    /// Name of each adapter and its weight per module.
    var adapters: [(name: String, weights: [String: Double])]
    /// The recipe with the learned weights.
    var learned: JSONValue
    var seconds: Double

    var document: JSONValue {
        .document(
            "recipe-learn",
            [
                .init("recipe", .string(recipe)), .init("suite", .string(suite)),
                .init("training_samples", .integer(learning.counts.training)),
                .init("validation_samples", .integer(learning.counts.validation)),
                .init("step", .integer(learning.step)),
                .init(
                    "validation",
                    .array(
                        learning.records.map {
                            .object([
                                .init("step", .integer($0.step)), .init("loss", .double($0.loss)),
                                .init("accuracy", .double($0.accuracy)),
                            ])
                        })),
                .init(
                    "adapters",
                    .array(
                        adapters.map { adapter in
                            let values = adapter.weights.sorted { $0.key < $1.key }
                            return .object([
                                .init("name", .string(adapter.name)),
                                .init("weights", .object(values.map { .init($0.key, .double($0.value)) })),
                            ])
                        })),
                .init("learned", learned), .init("seconds", .double(seconds)),
            ])
    }

    func text(_ session: Session) -> String {
        var table = TerminalTable([
            .text("ADAPTER"), .number("MODULES"), .number("WEIGHT MIN"), .number("MEAN"), .number("MAX"),
        ])
        for adapter in adapters {
            let values = adapter.weights.values.sorted()
            let mean = values.reduce(0, +) / Double(max(1, values.count))
            let numbers = [values.first ?? 0, mean, values.last ?? 0].map { Quantities.fixed($0, 3) }
            table.add([adapter.name, "\(values.count)"] + numbers)
        }
        let training = learning.counts.training
        return session.rendered(table) + progress
            + "learned from \(training) samples in \(Quantities.duration(seconds: seconds))\n"
    }

    private var progress: String {
        guard let first = learning.records.first, let last = learning.records.last,
            let kept = learning.records.first(where: { $0.step == learning.step })
        else { return "" }
        let losses = [first, kept].map { Quantities.fixed($0.loss, 3) }.joined(separator: " → ")
        let accuracies = [first, kept].map { Quantities.fixed(100 * $0.accuracy, 1) }.joined(separator: " → ")
        return "step \(kept.step) of \(last.step): loss \(losses), accuracy \(accuracies) % of "
            + "\(learning.counts.validation) held-out training samples\n"
    }
}
