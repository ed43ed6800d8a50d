/// One key of `rank_pattern` or `alpha_pattern`: matches a module name *m* when `(.*\.)?(key)$` matches *m* from its
/// start.
///
/// The match runs all possibilities side by side (a set of states per character), so its time is at most
/// length × states, whatever the pattern. Source: PEFT's rule, `docs/formats.md` 3.2.
struct ModulePattern {
    enum Instruction: Hashable {
        case scalar(ScalarSet)
        case assertion(PatternNode.Assertion)
        case split(Int, Int)
        case jump(Int)
        case match
    }

    /// States of a pattern after its counted repetitions were written out.
    private static let largestProgram = 20_000

    private var program: [Instruction] = []
    /// The pattern as a plain row of sets, when it is one: then only the tail of the name is compared.
    private var row: [ScalarSet]?
    private var rowIsAnchored = false

    init(_ key: String) throws(PatternProblem) {
        let node = try PatternParser.parse(key)
        findRow(in: node)
        if row == nil {
            try compile(
                .sequence([
                    .repetition(
                        .sequence([
                            .repetition(.scalar(.any), minimum: 0, maximum: nil), .scalar(.one(0x2E)),
                        ]), minimum: 0, maximum: 1),
                    node, .assertion(.end),
                ]))
            program.append(.match)
        }
    }

    /// - Parameters:
    ///   - name: Unicode scalars of the module name.
    ///   - steps: raised by the work done.
    ///   - budget: where `steps` passes it, the search is given up and counts as no match.
    func matches(_ name: [UInt32], steps: inout Int, budget: Int = .max) -> Bool {
        guard let row else { return simulate(name, steps: &steps, budget: budget) }
        if rowMatches(row, name, end: name.count, steps: &steps) { return true }
        return name.last == 0x0A && rowMatches(row, name, end: name.count - 1, steps: &steps)
    }

    // MARK: Rows

    private mutating func findRow(in node: PatternNode) {
        var parts = [node]
        if case .sequence(let inner) = node { parts = inner }
        var sets: [ScalarSet] = []
        for (index, part) in parts.enumerated() {
            switch part {
            case .scalar(let set): sets.append(set)
            case .assertion(.start) where index == 0: rowIsAnchored = true
            default:
                rowIsAnchored = false
                return
            }
        }
        row = sets
    }

    private func rowMatches(_ row: [ScalarSet], _ name: [UInt32], end: Int, steps: inout Int) -> Bool {
        let start = end - row.count
        steps += 1
        guard start >= 0, start == 0 || (!rowIsAnchored && name[start - 1] == 0x2E) else { return false }
        for index in row.indices {
            steps += 1
            guard row[index].contains(name[start + index]) else { return false }
        }
        // The optional prefix is `.*\.`, and `.` stops at a line feed.
        return !name[..<start].contains(0x0A)
    }

    // MARK: Programs

    private mutating func emit(_ instruction: Instruction) throws(PatternProblem) {
        guard program.count < ModulePattern.largestProgram else { throw PatternProblem("it is too large") }
        program.append(instruction)
    }

    private mutating func compile(_ node: PatternNode) throws(PatternProblem) {
        switch node {
        case .scalar(let set): try emit(.scalar(set))
        case .assertion(let assertion): try emit(.assertion(assertion))
        case .sequence(let parts): for part in parts { try compile(part) }
        case .alternatives(let branches): try compile(alternatives: branches)
        case .repetition(let inner, let minimum, let maximum):
            for _ in 0..<minimum { try compile(inner) }
            guard let maximum else { return try compile(star: inner) }
            for _ in minimum..<max(minimum, maximum) { try compile(optional: inner) }
        }
    }

    private mutating func compile(alternatives branches: [PatternNode]) throws(PatternProblem) {
        var exits: [Int] = []
        for (index, branch) in branches.enumerated() {
            guard index < branches.count - 1 else {
                try compile(branch)
                break
            }
            let split = program.count
            try emit(.split(split + 1, 0))
            try compile(branch)
            exits.append(program.count)
            try emit(.jump(0))
            program[split] = .split(split + 1, program.count)
        }
        for exit in exits { program[exit] = .jump(program.count) }
    }

    private mutating func compile(star inner: PatternNode) throws(PatternProblem) {
        let split = program.count
        try emit(.split(split + 1, 0))
        try compile(inner)
        try emit(.jump(split))
        program[split] = .split(split + 1, program.count)
    }

    private mutating func compile(optional inner: PatternNode) throws(PatternProblem) {
        let split = program.count
        try emit(.split(split + 1, 0))
        try compile(inner)
        program[split] = .split(split + 1, program.count)
    }

    private func simulate(_ name: [UInt32], steps: inout Int, budget: Int) -> Bool {
        var current: [Int] = []
        var following: [Int] = []
        // The position at which a state was last entered: no state enters a set twice.
        var entered = [Int](repeating: -1, count: program.count)
        var pending: [Int] = []
        func enter(_ state: Int, at position: Int, into set: inout [Int]) -> Bool {
            pending.append(state)
            while let state = pending.popLast() {
                guard entered[state] != position else { continue }
                entered[state] = position
                steps += 1
                switch program[state] {
                case .match: return true
                case .scalar: set.append(state)
                case .jump(let target): pending.append(target)
                case .split(let first, let second): pending += [second, first]
                case .assertion(let assertion):
                    if holds(assertion, name, at: position) { pending.append(state + 1) }
                }
            }
            return false
        }
        if enter(0, at: 0, into: &current) { return true }
        for position in name.indices where !current.isEmpty && steps <= budget {
            following.removeAll(keepingCapacity: true)
            for state in current {
                steps += 1
                guard case .scalar(let set) = program[state], set.contains(name[position]) else { continue }
                if enter(state + 1, at: position + 1, into: &following) { return true }
            }
            swap(&current, &following)
        }
        return false
    }

    private func holds(_ assertion: PatternNode.Assertion, _ name: [UInt32], at position: Int) -> Bool {
        switch assertion {
        case .start: return position == 0
        case .end: return position == name.count || (position == name.count - 1 && name[position] == 0x0A)
        case .veryEnd: return position == name.count
        case .wordBoundary, .noWordBoundary:
            let before = position > 0 && ScalarSet.Member.isWord(name[position - 1])
            let after = position < name.count && ScalarSet.Member.isWord(name[position])
            return (before != after) == (assertion == .wordBoundary)
        }
    }
}
