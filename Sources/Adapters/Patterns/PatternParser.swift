/// Reads the part of Python's regular expressions that describes a plain set of strings: literals, `.`, classes,
/// escapes, groups, alternatives, quantifiers (lazy ones match the same strings), anchors, word boundaries.
///
/// Lookaround, back references, possessive quantifiers and inline flags are a ``PatternProblem``.
struct PatternParser {
    private let scalars: [UInt32]
    private var position = 0
    private var depth = 0

    private static let deepest = 100
    private static let largestCount = 1_000

    private init(_ text: String) { scalars = text.unicodeScalars.map(\.value) }

    static func parse(_ text: String) throws(PatternProblem) -> PatternNode {
        var parser = PatternParser(text)
        let node = try parser.alternatives()
        guard parser.position == parser.scalars.count else { throw PatternProblem("a closing parenthesis too many") }
        return node
    }

    private func peek(_ character: Unicode.Scalar, offset: Int = 0) -> Bool {
        position + offset < scalars.count && scalars[position + offset] == character.value
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek(character) else { return false }
        position += 1
        return true
    }

    private mutating func next() throws(PatternProblem) -> UInt32 {
        guard position < scalars.count else { throw PatternProblem("it ends too early") }
        position += 1
        return scalars[position - 1]
    }

    private mutating func alternatives() throws(PatternProblem) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= PatternParser.deepest else { throw PatternProblem("groups nested too deep") }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(PatternProblem) -> PatternNode {
        var parts: [PatternNode] = []
        while position < scalars.count, !peek("|"), !peek(")") {
            guard let part = try atom() else { continue }
            parts.append(try quantified(part))
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    /// nil for a comment group, which stands for nothing.
    private mutating func atom() throws(PatternProblem) -> PatternNode? {
        let value = try next()
        switch Unicode.Scalar(value) {
        case ".": return .scalar(.any)
        case "^": return .assertion(.start)
        case "$": return .assertion(.end)
        case "[": return .scalar(try characterClass())
        case "\\": return try escape()
        case "(": return try group()
        case "*", "+", "?": throw PatternProblem("a quantifier with nothing before it")
        default: return .scalar(.one(value))
        }
    }

    private mutating func group() throws(PatternProblem) -> PatternNode? {
        if take("?") {
            if take("#") {
                while !peek(")") { _ = try next() }
                position += 1
                return nil
            }
            if take("P") {
                guard take("<") else { throw PatternProblem("back references are not supported") }
                while !peek(">") { _ = try next() }
                position += 1
            } else if !take(":") {
                throw PatternProblem("lookaround, conditions and inline flags are not supported")
            }
        }
        let inner = try alternatives()
        guard take(")") else { throw PatternProblem("a group is not closed") }
        // An empty group still is an atom that a quantifier may follow.
        return .sequence([inner])
    }

    private mutating func quantified(_ node: PatternNode) throws(PatternProblem) -> PatternNode {
        guard let (minimum, maximum) = try quantifier() else { return node }
        if case .assertion = node { throw PatternProblem("a quantifier with nothing before it") }
        if take("+") { throw PatternProblem("possessive quantifiers are not supported") }
        _ = take("?")
        let before = position
        if try quantifier() != nil {
            position = before
            throw PatternProblem("two quantifiers in a row")
        }
        return .repetition(node, minimum: minimum, maximum: maximum)
    }

    private mutating func quantifier() throws(PatternProblem) -> (Int, Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard peek("{"), !peek("}", offset: 1) else { return nil }
        let start = position
        position += 1
        let low = try number()
        var high = low
        if take(",") { high = try number() } else if low == nil { high = nil }
        // Braces that are no quantifier are literal text, as in Python.
        guard position > start + 1, take("}") else {
            position = start
            return nil
        }
        if let low, let high, high < low { throw PatternProblem("a quantifier whose maximum is below its minimum") }
        return (low ?? 0, high)
    }

    private mutating func number() throws(PatternProblem) -> Int? {
        var value: Int?
        while position < scalars.count, (0x30...0x39).contains(scalars[position]) {
            let sum = (value ?? 0) * 10 + Int(scalars[position] - 0x30)
            guard sum <= PatternParser.largestCount else { throw PatternProblem("a quantifier above 1000") }
            value = sum
            position += 1
        }
        return value
    }

    private mutating func escape() throws(PatternProblem) -> PatternNode {
        let value = try next()
        switch Unicode.Scalar(value) {
        case "A": return .assertion(.start)
        case "Z": return .assertion(.veryEnd)
        case "b": return .assertion(.wordBoundary)
        case "B": return .assertion(.noWordBoundary)
        default: break
        }
        if let member = namedClass(value) { return .scalar(.members([member], negated: false)) }
        return .scalar(.one(try escapedScalar(value)))
    }

    private func namedClass(_ value: UInt32) -> ScalarSet.Member? {
        switch Unicode.Scalar(value) {
        case "d": .digit(negated: false)
        case "D": .digit(negated: true)
        case "w": .word(negated: false)
        case "W": .word(negated: true)
        case "s": .space(negated: false)
        case "S": .space(negated: true)
        default: nil
        }
    }

    private mutating func escapedScalar(_ value: UInt32) throws(PatternProblem) -> UInt32 {
        switch Unicode.Scalar(value) {
        case "n": return 0x0A
        case "t": return 0x09
        case "r": return 0x0D
        case "f": return 0x0C
        case "v": return 0x0B
        case "a": return 0x07
        case "0": return 0
        case "x": return try hexadecimal(digits: 2)
        case "u": return try hexadecimal(digits: 4)
        default: break
        }
        guard let scalar = Unicode.Scalar(value) else { return value }
        if (0x31...0x39).contains(value) { throw PatternProblem("back references are not supported") }
        if scalar.isASCII, ScalarSet.Member.isWord(value), scalar != "_" {
            throw PatternProblem("the escape \\\(scalar) is unknown")
        }
        return value
    }

    private mutating func hexadecimal(digits: Int) throws(PatternProblem) -> UInt32 {
        var result: UInt32 = 0
        for _ in 0..<digits {
            let value = try next()
            guard let digit = Unicode.Scalar(value).flatMap({ Character($0).hexDigitValue }) else {
                throw PatternProblem("a hexadecimal escape that is too short")
            }
            result = result * 16 + UInt32(digit)
        }
        return result
    }

    private mutating func characterClass() throws(PatternProblem) -> ScalarSet {
        let negated = take("^")
        var members: [ScalarSet.Member] = []
        var first = true
        while first || !peek("]") {
            first = false
            let low = try classMember()
            guard case .range(let lower) = low, peek("-"), !peek("]", offset: 1) else {
                members.append(low)
                continue
            }
            position += 1
            guard case .range(let upper) = try classMember(), upper.lowerBound >= lower.lowerBound else {
                throw PatternProblem("a range in a class that runs backwards")
            }
            members.append(.range(lower.lowerBound...upper.lowerBound))
        }
        position += 1
        return .members(members, negated: negated)
    }

    private mutating func classMember() throws(PatternProblem) -> ScalarSet.Member {
        let value = try next()
        guard value == 0x5C else { return .range(value...value) }
        let escaped = try next()
        if let member = namedClass(escaped) { return member }
        let scalar = escaped == 0x62 ? 0x08 : try escapedScalar(escaped)
        return .range(scalar...scalar)
    }
}
