import Diagnostics

extension ParameterDeclaration {
    /// What the kind takes, in words: `a number in 0...1`, `one of sum, count`.
    public var expectation: String {
        switch kind {
        case .number: return range == .any ? "a number" : "a number \(rangeText)"
        case .integer: return range == .any ? "a whole number" : "a whole number \(rangeText)"
        case .bool: return "true or false"
        case .choice(let words): return "one of \(words.joined(separator: ", "))"
        case .file: return "a path"
        case .rank(let words, let keyed):
            return (words + ["a whole number"] + keyed.map { "{\($0): 0...1}" }).joined(separator: ", ")
        }
    }

    private var rangeText: String {
        range.lower.isFinite && range.upper.isFinite ? "in \(range)" : "\(range)"
    }

    /// The value for a method.
    ///
    /// - Throws: `recipe.bad_parameter` with the place when the form or the range does not fit.
    func value(_ written: SettingValue) throws -> ParameterValue {
        switch (kind, written.form) {
        case (.number, .number(let number)) where range.contains(number): return .number(number)
        case (.integer, .number(let number)) where range.contains(number) && number == number.rounded():
            return .number(number)
        case (.bool, .bool(let bool)): return .bool(bool)
        case (.choice(let words), .text(let text)) where words.contains(text): return .text(text)
        case (.file, .text(let text)): return .text(text)
        case (.rank(let words, _), .text(let text)) where words.contains(text): return .text(text)
        case (.rank, .number(let number)) where number >= 1 && number <= 1e9 && number == number.rounded():
            return .number(number)
        case (.rank(_, let keyed), .keyed(let key, let share)) where keyed.contains(key) && share >= 0 && share <= 1:
            return .choice(key, share)
        default:
            var hint: String?
            if case .text(let text) = written.form {
                switch kind {
                case .choice(let words), .rank(let words, _): hint = Spelling.hint(for: text, among: words)
                case .number, .integer, .bool, .file: break
                }
            }
            throw Failure(
                .recipeBadParameter, "'\(name)' must be \(expectation), found \(written.whatItIs)",
                place: written.place.description, hint: hint)
        }
    }

    /// Checks every value of a setting.
    func check(_ setting: Setting) throws {
        switch setting {
        case .value(let written): _ = try value(written)
        case .gradient(let numbers, let place):
            guard kind == .number else {
                throw Failure(
                    .recipeBadParameter, "'\(name)' must be \(expectation), found a list over the layers",
                    place: place.description)
            }
            for number in numbers { _ = try value(SettingValue(form: .number(number), place: place)) }
        case .filtered(let entries): for entry in entries { try check(entry.value) }
        case .perLayer(let table, _):
            for (_, written) in table.sorted(by: { $0.key < $1.key }) { _ = try value(written) }
        case .perModule(let table, _):
            for (_, written) in table.sorted(by: { $0.key < $1.key }) { _ = try value(written) }
        }
    }
}

extension SettingValue {
    var whatItIs: String {
        switch form {
        case .number(let number): "the number \(NumberText.shortest(number))"
        case .bool(let bool): bool ? "true" : "false"
        case .text(let text): "the text '\(text)'"
        case .keyed(let key, let number): "{\(key): \(NumberText.shortest(number))}"
        }
    }
}

extension ParameterBlock {
    /// Checks names, forms and ranges.
    ///
    /// - Parameters:
    ///   - methods: those whose modules the block may reach; an entry must be known to one of them and fit every one
    ///     that knows it.
    ///   - perAdapter: the block belongs to one adapter.
    /// - Throws: `recipe.unknown_key`, `recipe.bad_parameter`.
    func check(for methods: [MethodDescription], perAdapter: Bool) throws {
        for entry in entries {
            let declarations = methods.compactMap { $0.parameter(named: entry.name) }
            guard !declarations.isEmpty else { throw unknown(entry, methods) }
            if perAdapter, let shared = declarations.first(where: { !$0.perAdapter }) {
                throw Failure(
                    .recipeBadParameter, "'\(shared.name)' is one value for the whole merge, not one per adapter",
                    place: entry.place.description, hint: "move it to 'parameters' of the recipe")
            }
            for declaration in declarations { try declaration.check(entry.setting) }
        }
    }

    private func unknown(_ entry: Entry, _ methods: [MethodDescription]) -> Failure {
        let names = Set(methods.map(\.id)).sorted().map { "'\($0)'" }.joined(separator: ", ")
        let known = Set(methods.flatMap { $0.parameters.map(\.name) }).sorted()
        let list = known.isEmpty ? "it has no parameters" : "it knows \(known.joined(separator: ", "))"
        let isOutput = OutputReader.keys.contains(entry.name)
        return Failure(
            .recipeUnknownKey, "the method \(names) has no parameter '\(entry.name)'",
            place: entry.place.description,
            hint: isOutput
                ? "did you mean 'output.\(entry.name)'?" : Spelling.hint(for: entry.name, among: known) ?? list)
    }
}
