import Diagnostics
import Synchronization

/// What the operands of a stage are.
public enum OperandForm: Hashable, Sendable {
    /// Updates of adapters, Δ_i = s_i B_i A_i.
    case adapters
    /// Updates of full checkpoints, Δ_i = W_i − W_base; adapters may be among them. Modules are named like tensors.
    case updates
    /// Weights of full checkpoints, W_i; there is no update. Modules are named like tensors.
    case weights
}

/// What the rule of a method knows about the module that it merges.
public struct MethodContext: Sendable {
    public let module: String
    /// d_out of the flattened update.
    public internal(set) var rows: Int
    /// d_in of the flattened update.
    public internal(set) var columns: Int
    /// Rank of each operand's factors; 0 for a zero adapter (`missing: zero`).
    public let ranks: [Int]
    /// Largest rank that each operand's whole adapter declares (PEFT's `r` and `rank_pattern`), for all adapters of
    /// the stage, whether they have this module or not.
    public let declaredRanks: [Int]
    /// w_i, resolved for this module.
    public let weights: [Double]
    /// s_i, the scaling of each operand (merge-methods 0.3).
    public let scales: [Double]
    /// Index of each operand's adapter in the stage.
    public let operandIndices: [Int]
    /// Names of the operands' adapters, for messages.
    public let adapterNames: [String]
    public let compatibility: Compatibility
    /// `pad: zero`: smaller ranks may be filled up with zeros.
    public let padsRanks: Bool
    public let seed: UInt64?
    /// Collects what the user should know.
    public let remarks: Remarks
    /// What the operands are. The factors that an operand of a checkpoint lacks count as those of full rank.
    public internal(set) var form = OperandForm.adapters
    /// Lengths of all axes of the tensor of a checkpoint; empty for adapters.
    public internal(set) var shape: [Int] = []
    /// Which operand of a chunk holds the base weights; nil unless the method asks for them (`BaseUse.beside`).
    public internal(set) var baseOperand: Int?

    var method: MethodDescription
    var parameters: [String: ParameterValue]
    let operandParameters: [[String: ParameterValue]]
    /// Identity of an operand's content by index into the stage, for random streams; costly at the first call.
    var contentID: @Sendable (Int) -> String = { "\($0)" }
    /// Files that parameters name.
    var files = InputFiles()
    /// Number of adapters of the stage.
    var adapterCount: Int { declaredRanks.count }

    /// T, the number of operands at this module.
    public var operandCount: Int { weights.count }
    /// p = min(m, n).
    public var smallSide: Int { min(rows, columns) }
    /// R = Σ r_i.
    public var totalRank: Int { ranks.reduce(0, +) }
    public var largestRank: Int { ranks.max() ?? 0 }

    /// The parameter's value: as planned, else its default; nil when it has none.
    public func value(_ name: String) -> ParameterValue? {
        parameters[name] ?? method.parameter(named: name)?.defaultValue
    }

    /// - Throws: `recipe.bad_parameter` when the value is missing or no number.
    public func number(_ name: String) throws -> Double {
        guard let number = value(name)?.number else { throw missing(name, "a number") }
        return number
    }

    /// - Throws: `recipe.bad_parameter` when the value is missing or neither true nor false.
    public func flag(_ name: String) throws -> Bool {
        guard let flag = value(name)?.bool else { throw missing(name, "true or false") }
        return flag
    }

    /// The value as one of the raw values of `Word`.
    ///
    /// - Throws: `recipe.bad_parameter` for any other text.
    public func word<Word: RawRepresentable<String>>(_ name: String, as type: Word.Type = Word.self) throws -> Word {
        guard let word = value(name)?.text.flatMap(Word.init(rawValue:)) else { throw missing(name, "a known word") }
        return word
    }

    /// One number per operand: the operand's own, else the stage's, else the default.
    ///
    /// - Throws: `recipe.bad_parameter` when one is missing.
    public func numbers(_ name: String) throws -> [Double] {
        try operandParameters.map { own in
            if let number = own[name]?.number { return number }
            return try number(name)
        }
    }

    /// One text per operand, nil where none is given.
    public func texts(_ name: String) -> [String?] {
        operandParameters.map { $0[name]?.text ?? value(name)?.text }
    }

    /// `density` of each operand, checked to lie in 0…1.
    ///
    /// - Throws: `recipe.bad_parameter` outside that range and for NaN.
    public func densities() throws -> [Double] {
        let densities = try numbers("density")
        for (name, density) in zip(adapterNames, densities) where !(density >= 0 && density <= 1) {
            throw Failure(
                .recipeBadParameter, "density of '\(name)' is \(density); it lies between 0 and 1", place: module)
        }
        return densities
    }

    /// Σ w_i where the method divides by it, else 1.
    ///
    /// - Throws: `recipe.zero_weight_sum` when the method normalises and |Σ w_i| < 1e-8.
    public func weightDivisor(normalize: Bool) throws -> Double {
        guard normalize else { return 1 }
        let sum = weights.reduce(0, +)
        guard abs(sum) >= 1e-8 else {
            throw Failure(
                .recipeZeroWeightSum, "the weights add up to \(sum), so they cannot be normalised", place: module,
                hint: "set normalize: false, or other weights")
        }
        return sum
    }

    func missing(_ name: String, _ kind: String) -> Failure {
        Failure(.recipeBadParameter, "\(method.id) needs \(kind) for '\(name)'", place: module)
    }
}

/// Remarks of one module, in the order in which they came. Safe to use from any thread.
public final class Remarks: Sendable {
    private let texts = Mutex<[String]>([])

    public init() {}

    /// Adds a remark unless it is there already.
    public func add(_ text: String) {
        texts.withLock { if !$0.contains(text) { $0.append(text) } }
    }

    public var all: [String] { texts.withLock { $0 } }
}
