import Diagnostics
import Settings
import Tensors

/// Tries values of a recipe's `search` section and keeps what was found.
///
/// The objective is a closure: data-free numbers, or an accuracy that somebody above can measure. Larger is better.
public struct RecipeSearch {
    /// One candidate and its score.
    public struct Trial: Sendable {
        /// One text per dimension, as a `--set` value.
        public var values: [String]
        public var score: Double
        /// Further numbers for the table.
        public var details: [(name: String, value: Double)]

        public init(values: [String], score: Double, details: [(name: String, value: Double)]) {
            self.values = values
            self.score = score
            self.details = details
        }
    }

    public let dimensions: [SearchSettings.Dimension]
    public let strategy: SearchSettings.Strategy
    public let budget: Int
    public let seed: UInt64

    /// - Throws: `recipe.bad_parameter` for values that are lists or mappings, for a continuous search over words, and
    ///   for a grid that is larger than the budget.
    public init(_ settings: SearchSettings, budget: Int? = nil, seed: UInt64 = 0) throws {
        dimensions = settings.over
        strategy = settings.strategy
        self.budget = budget ?? settings.budget ?? 50
        self.seed = seed
        for dimension in dimensions {
            guard dimension.values.allSatisfy({ $0.scalar != nil }) else {
                throw Self.bad(dimension, "values to try must be single numbers or words")
            }
            if strategy == .evolution, dimension.values.contains(where: { FieldReader.number($0) == nil }) {
                throw Self.bad(dimension, "cma_es needs numbers: the smallest and the largest value span its range")
            }
        }
        let size = dimensions.reduce(1) { $0.multipliedReportingOverflow(by: $1.values.count).partialValue }
        if strategy == .grid, size > self.budget {
            throw Failure(
                .recipeBadParameter, "the grid has \(size) points and the budget is \(self.budget)",
                place: settings.place.description, hint: "raise the budget, or use strategy: coordinate")
        }
    }

    private static func bad(_ dimension: SearchSettings.Dimension, _ message: String) -> Failure {
        Failure(.recipeBadParameter, "'search.over.\(dimension.key)': \(message)", place: dimension.place.description)
    }

    /// The overrides of a candidate. A bare name is a parameter of the method; `models[*].weight` one of each model.
    public func overrides(_ values: [String]) throws -> [SettingOverride] {
        try zip(dimensions, values).map { dimension, value in
            let segments = try SettingPath(dimension.key, at: dimension.place).segments
            var key = dimension.key
            if segments.count == 1 { key = "parameters." + key }
            if segments.first == .key("models"), segments.count == 3, case .key(let name) = segments[2] {
                key = key.dropLast(name.count) + "parameters." + name
            }
            return try SettingOverride(key + "=" + value)
        }
    }

    /// Runs the search; every candidate is evaluated once.
    ///
    /// - Returns: the trials in the order in which they were made.
    public func run(_ evaluate: ([String]) throws -> Trial) throws -> [Trial] {
        switch strategy {
        case .grid: return try grid().map(evaluate)
        case .coordinate: return try coordinate(evaluate)
        case .evolution: return try EvolutionSearch(dimensions, budget: budget, seed: seed).run(evaluate)
        }
    }

    private func texts(_ dimension: SearchSettings.Dimension) -> [String] {
        dimension.values.map { $0.scalar?.text ?? "" }
    }

    private func grid() -> [[String]] {
        dimensions.reduce([[]]) { partial, dimension in
            partial.flatMap { head in texts(dimension).map { head + [$0] } }
        }
    }

    /// One dimension after the other, from the middle of each list, until a round changes nothing.
    private func coordinate(_ evaluate: ([String]) throws -> Trial) throws -> [Trial] {
        var trials: [Trial] = []
        func trial(_ values: [String]) throws -> Trial? {
            if let known = trials.first(where: { $0.values == values }) { return known }
            guard trials.count < budget else { return nil }
            let found = try evaluate(values)
            trials.append(found)
            return found
        }
        guard var best = try trial(dimensions.map { texts($0)[$0.values.count / 2] }) else { return [] }
        var changed = true
        while changed {
            changed = false
            for (index, dimension) in dimensions.enumerated() {
                for text in texts(dimension) where text != best.values[index] {
                    var values = best.values
                    values[index] = text
                    guard let found = try trial(values) else { return trials }
                    if found.score > best.score {
                        best = found
                        changed = true
                    }
                }
            }
        }
        return trials
    }
}
