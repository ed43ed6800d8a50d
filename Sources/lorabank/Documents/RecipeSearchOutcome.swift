import Merging
import Reports
import WeightFiles

/// What a search found, as JSON, table and CSV.
struct RecipeSearchOutcome {
    var recipe: String
    var objective: RecipeSearchWork.Objective
    var keys: [String]
    var trials: [RecipeSearch.Trial]
    var usesCores: Bool
    /// `--set` options that fix the best candidate.
    var overrides: [String]
    var seconds: Double

    var document: JSONValue {
        .document(
            "recipe-search",
            [
                .init("recipe", .string(recipe)), .init("objective", .string(objective.rawValue)),
                .init("over", .texts(keys)), .init("cached_cores", .bool(usesCores)),
                .init("best", trials.best.map(row) ?? .null), .init("set", .texts(overrides)),
                .init("trials", .array(trials.map(row))), .init("seconds", .double(seconds)),
            ])
    }

    private func row(_ trial: RecipeSearch.Trial) -> JSONValue {
        .object(
            [
                .init("values", .object(zip(keys, trial.values).map { .init($0, .string($1)) })),
                .init("score", .double(trial.score)),
            ] + trial.details.map { .init($0.name, .double($0.value)) })
    }

    func text(_ session: Session) -> String {
        let names = trials.first?.details.map(\.name) ?? []
        var table = TerminalTable(keys.map { .text($0.uppercased()) } + names.map { .number($0.uppercased()) })
        for trial in trials.sorted(by: { $0.score > $1.score }).prefix(20) {
            table.add(trial.values + trial.details.map { Quantities.fixed($0.value, 4) })
        }
        return session.rendered(table)
            + "\(trials.count) candidates by \(objective.rawValue)\(usesCores ? ", on cached cores" : ""), "
            + "\(Quantities.duration(seconds: seconds)); best: \(session.shown(overrides.joined(separator: " ")))\n"
    }

    /// Every candidate, in the order of the search.
    func write(to path: String, replacing: Bool) throws {
        let names = trials.first?.details.map(\.name) ?? []
        var lines = [(["trial"] + keys + ["score"] + names).map(quoted).joined(separator: ",")]
        for (index, trial) in trials.enumerated() {
            let cells = ["\(index)"] + trial.values + ["\(trial.score)"] + trial.details.map { "\($0.value)" }
            lines.append(cells.map(quoted).joined(separator: ","))
        }
        try AtomicFile.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: path, overwrite: replacing)
    }

    private func quoted(_ cell: String) -> String {
        cell.contains { ",\"\n".contains($0) } ? "\"" + cell.replacing("\"", with: "\"\"") + "\"" : cell
    }
}
