import Diagnostics
import WeightFiles

/// One check of the engine on itself (section 15).
public struct InvariantResult: Sendable {
    public var task: Int
    public var id: String
    public var passes: Bool
    public var value: Double
    public var tolerance: Double
    public var note: String

    var line: String {
        JSONValue.object([
            .init("task", .integer(task)), .init("id", .string(id)), .init("pass", .bool(passes)),
            .init("value", .double(value)), .init("tolerance", .double(tolerance)), .init("note", .string(note)),
        ]).text(.compact)
    }
}

/// Collects the checks of a task; in strict runs the first failure ends the run.
struct InvariantLog {
    let task: Int
    let isStrict: Bool
    private(set) var results: [InvariantResult] = []

    init(task: Int, isStrict: Bool) {
        self.task = task
        self.isStrict = isStrict
    }

    /// Notes that `value` must be at most `tolerance`.
    ///
    /// - Throws: `cil.invariant` in strict runs when it is not.
    mutating func check(_ id: String, _ value: Double, atMost tolerance: Double = 0, _ note: String) throws {
        let passes = value.isFinite && value <= tolerance
        results.append(
            InvariantResult(task: task, id: id, passes: passes, value: value, tolerance: tolerance, note: note))
        guard !passes, isStrict else { return }
        throw Failure(
            .cilInvariant, "invariant \(id) does not hold after task \(task): \(note)",
            place: "value \(value), tolerance \(tolerance)",
            hint: "invariants: warn goes on and marks the run; please report this with the configuration")
    }

    mutating func require(_ id: String, _ holds: Bool, _ note: String) throws {
        try check(id, holds ? 0 : 1, atMost: 0, note)
    }
}
