import WeightFiles

/// The outcome of one check of cil-engine 15.
public struct InvariantCheck: Sendable, Hashable {
    /// `I1` … `I17`.
    public var id: String
    public var task: Int
    public var passed: Bool
    public var value: Double
    public var tolerance: Double
    /// What was compared, and on failure what that usually means.
    public var note: String

    public init(_ id: String, task: Int, passed: Bool, value: Double = 0, tolerance: Double = 0, note: String) {
        self.id = id
        self.task = task
        self.passed = passed
        self.value = value
        self.tolerance = tolerance
        self.note = note
    }

    public var document: JSONValue {
        .object([
            .init("task", .integer(task)), .init("id", .string(id)), .init("pass", .bool(passed)),
            .init("value", .measured(value)), .init("tolerance", .double(tolerance)), .init("note", .string(note)),
        ])
    }

    /// What a failure means, in words.
    public var explanation: String {
        switch id {
        case "I1", "I16":
            "combined and slow-only differ although fast is empty: two forward paths, or cached weights that are stale"
        case "I2":
            "the norm of fast is not what it must be: the checkpoint was written before the reset, or a key was not restored"
        case "I3": "the optimiser holds other parameters than the structure trains"
        case "I4": "a gradient reaches a slot that does not take part, or a member gets none"
        case "I5": "a slot that takes no part in the task was changed: stale moments or weight decay"
        case "I6": "the frozen backbone was changed"
        case "I7": "slow is not what the rule gives, beyond the error of its rank"
        case "I8": "moving all of fast into slow changed the function"
        case "I9": "the checkpoint does not give back the state that was saved"
        case "I10": "a slot cannot learn: both factors are zero"
        case "I11": "the head has more rows than classes, or an unseen class competes"
        case "I12": "evaluation is not repeatable, or it changes the state"
        case "I13": "training, validation and test samples meet, or selection read something else than validation"
        case "I14": "an expert changes the rows of another"
        case "I15": "a time scale was updated more or less often than its period says"
        default: "a parameter or the loss is not finite"
        }
    }
}
