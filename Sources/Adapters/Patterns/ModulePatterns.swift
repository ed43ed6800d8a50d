import Diagnostics

/// `rank_pattern` or `alpha_pattern`: values of modules by pattern, the first matching key in file order wins.
///
/// A key that equals the module name literally counts as well when no pattern matches, as in PEFT.
public struct ModulePatterns<Value: Sendable>: Sendable {
    private let keys: [String]
    private let values: [Value]
    private let compiled: [Result<ModulePattern, PatternProblem>]
    private let literal: [String: Int]

    /// Work allowed for all names together, in single comparisons.
    private let budget: Int

    /// - Parameter budget: the default takes well below a second.
    public init(_ entries: [(key: String, value: Value)], budget: Int = 50_000_000) {
        self.budget = budget
        keys = entries.map(\.key)
        values = entries.map(\.value)
        compiled = entries.map { entry in
            do throws(PatternProblem) { return .success(try ModulePattern(entry.key)) } catch { return .failure(error) }
        }
        literal = Dictionary(zip(keys, keys.indices), uniquingKeysWith: { first, _ in first })
    }

    public var isEmpty: Bool { keys.isEmpty }

    /// The value of each name, nil where no key matches.
    ///
    /// - Throws: `config.bad_value` for a key that cannot be read and is needed (none before it matches), and when the
    ///   keys take too long.
    public func values(for names: [String]) throws -> [Value?] {
        if isEmpty { return names.map { _ in nil } }
        var steps = 0
        return try names.map { name in
            let scalars = name.unicodeScalars.map(\.value)
            for index in keys.indices {
                if try pattern(index).matches(scalars, steps: &steps, budget: budget) { return values[index] }
                guard steps <= budget else {
                    throw Failure(.configBadValue, "the module patterns take too long to evaluate", place: keys[index])
                }
            }
            return literal[name].map { values[$0] }
        }
    }

    private func pattern(_ index: Int) throws -> ModulePattern {
        switch compiled[index] {
        case .success(let pattern): return pattern
        case .failure(let problem):
            throw Failure(
                .configBadValue, "the module pattern '\(keys[index])' cannot be used: \(problem.reason)",
                place: keys[index], hint: "name the modules in full in rank_pattern and alpha_pattern")
        }
    }
}
