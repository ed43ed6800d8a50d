/// Why a pattern cannot be used, in words.
struct PatternProblem: Error, Hashable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// A set of Unicode scalars: one element of a pattern.
enum ScalarSet: Hashable {
    /// `.`: everything but a line feed.
    case any
    case one(UInt32)
    case members([Member], negated: Bool)

    enum Member: Hashable {
        case range(ClosedRange<UInt32>)
        case digit(negated: Bool)
        case word(negated: Bool)
        case space(negated: Bool)
    }

    func contains(_ value: UInt32) -> Bool {
        switch self {
        case .any: value != 0x0A
        case .one(let scalar): value == scalar
        case .members(let members, let negated): members.contains { $0.contains(value) } != negated
        }
    }
}

extension ScalarSet.Member {
    func contains(_ value: UInt32) -> Bool {
        switch self {
        case .range(let range): range.contains(value)
        case .digit(let negated): ScalarSet.Member.isDigit(value) != negated
        case .word(let negated): ScalarSet.Member.isWord(value) != negated
        case .space(let negated): ScalarSet.Member.isSpace(value) != negated
        }
    }

    private static func isDigit(_ value: UInt32) -> Bool {
        if value < 0x80 { return value >= 0x30 && value <= 0x39 }
        return Unicode.Scalar(value)?.properties.generalCategory == .decimalNumber
    }

    static func isWord(_ value: UInt32) -> Bool {
        if value < 0x80 {
            return value == 0x5F || (value >= 0x30 && value <= 0x39) || (value | 0x20 >= 0x61 && value | 0x20 <= 0x7A)
        }
        guard let properties = Unicode.Scalar(value)?.properties else { return false }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
        default: return properties.numericType != nil
        }
    }

    private static func isSpace(_ value: UInt32) -> Bool {
        if value >= 0x1C && value <= 0x1F { return true }
        return Unicode.Scalar(value)?.properties.isWhitespace ?? false
    }
}

/// A parsed pattern.
indirect enum PatternNode: Hashable {
    case scalar(ScalarSet)
    case assertion(Assertion)
    case sequence([PatternNode])
    case alternatives([PatternNode])
    /// `maximum` nil: without bound.
    case repetition(PatternNode, minimum: Int, maximum: Int?)

    enum Assertion: Hashable {
        /// `^`, `\A`
        case start
        /// `$`: the end, or before a line feed at the end.
        case end
        /// `\Z`
        case veryEnd
        case wordBoundary
        case noWordBoundary
    }
}
