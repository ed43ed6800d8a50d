import Diagnostics
import Foundation
import Testing

@testable import Adapters

/// `(.*\.)?(key)$` from the start of the name, as PEFT matches pattern keys.
func matches(_ key: String, _ name: String) throws -> Bool {
    var steps = 0
    return try ModulePattern(key).matches(name.unicodeScalars.map(\.value), steps: &steps)
}

@Suite struct ModulePatternTests {
    @Test(arguments: [
        ("q_proj", "model.layers.0.self_attn.q_proj", true),
        ("q_proj", "q_proj", true),
        ("q_proj", "model.eq_proj", false),
        ("layers.1.q_proj", "model.layers.1.q_proj", true),
        ("layers.1.q_proj", "model.layers.11.q_proj", false),
        ("layers.1.q_proj", "model.layers_1.q_proj", true),
        (#"layers\.1\.q_proj"#, "model.layers_1.q_proj", false),
        (#"layers\.\d+\.q_proj"#, "model.layers.17.q_proj", true),
        (#".*\.(0|1|2)\.attn\.qkv"#, "blocks.2.attn.qkv", true),
        (#".*\.(0|1|2)\.attn\.qkv"#, "blocks.3.attn.qkv", false),
        ("^fc1", "fc1", true),
        ("^fc1", "x.fc1", false),
        (#"^model.decoder.layers.0.encoder_attn.k_proj"#, "model.decoder.layers.0.encoder_attn.k_proj", true),
        ("[qv]_proj", "a.v_proj", true),
        ("[^qv]_proj", "a.v_proj", false),
        ("[a-c-]x", "-x", true),
        ("[]x]y", "]y", true),
        ("fc(1|2)?", "a.fc", true),
        ("(?:down|up)_proj", "m.up_proj", true),
        ("(?P<which>down|up)_proj", "m.up_proj", true),
        ("a{2,3}", "aaa", true),
        ("a{2,3}", "aaaa", false),
        ("a{,2}b", "aab", true),
        ("a{x}", "a{x}", true),
        (#"\w+\s?\S"#, "q projX", false),
        (#"q\b.*"#, "q.x", true),
        (#"\Aq\Z"#, "q", true),
        ("(?#note)q", "q", true),
        ("a*?b", "aab", true),
        ("", "x.", true),
        ("|q", "q", true),
        (".", "a\n", true),
        ("q", "a\nb.q", false),
        ("q", "b.q\n", true),
        (#"\d"#, "٣", true),
        ("é.", "éa", true),
    ])
    func `a key matches as Python would match it`(key: String, name: String, expected: Bool) throws {
        #expect(try matches(key, name) == expected)
    }

    @Test(arguments: [
        "(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", #"(a)\1"#, "(?P=x)", "(?i)a", "(?(1)a|b)", "a++", "a**", "*a", "+",
        "^*", "a{3,2}", "a{1001}", "(a", "a)", "[a", "[b-a]", #"\y"#, #"a\"#, "((a{999}){999}){999}",
        String(repeating: "(", count: 200) + String(repeating: ")", count: 200), #"\x1"#,
    ])
    func `what the matcher does not know is a problem with words`(key: String) {
        let problem = #expect(throws: PatternProblem.self) { try ModulePattern(key) }
        #expect(problem?.reason.isEmpty == false)
    }

    @Test(arguments: ["(a*)*b", "(a|aa)+$b", "(.*a+)+(.*a+)+b?.*q", "(a?){30}a{30}", "((a+)+)+c"])
    func `no pattern needs more than a set of states per character`(key: String) throws {
        let name = String(repeating: "a", count: 2_000)
        var steps = 0
        let pattern = try ModulePattern(key)
        _ = pattern.matches(name.unicodeScalars.map(\.value), steps: &steps)
        #expect(steps < 2_001 * 800)
    }

    @Test func `random patterns agree with another engine`() throws {
        var generator = SystemRandomNumberGenerator()
        var compared = 0
        var matched = 0
        for _ in 0..<1_500 {
            let key = randomPattern(depth: 3, using: &generator)
            let reference = try NSRegularExpression(pattern: #"\A(?:(.*\.)?("# + key + "))$")
            for _ in 0..<4 {
                let letters = Array("ab.1_")
                let name = String((0..<Int.random(in: 0...7)).map { _ in letters.randomElement() ?? "a" })
                let range = NSRange(name.startIndex..., in: name)
                let expected = reference.firstMatch(in: name, range: range) != nil
                #expect(try matches(key, name) == expected, "\(key) on \(name)")
                compared += 1
                if expected { matched += 1 }
            }
        }
        #expect(matched > compared / 20)
    }

    private func randomPattern(depth: Int, using generator: inout SystemRandomNumberGenerator) -> String {
        let leaf = ["a", "b", ".", #"\."#, "1", "_", "[ab]", "[^a]", #"\d"#, #"\w"#, "[a-b1]", #"\W"#]
        func pick() -> String { leaf.randomElement(using: &generator) ?? "a" }
        guard depth > 0 else { return pick() }
        func inner() -> String { randomPattern(depth: depth - 1, using: &generator) }
        switch Int.random(in: 0..<7, using: &generator) {
        case 0: return "(" + inner() + "|" + inner() + ")"
        case 1: return "(" + inner() + ")" + (["*", "+", "?", "{1,2}", "{2}"].randomElement(using: &generator) ?? "*")
        case 2: return pick() + (["*", "+", "?", "{0,2}", "{1,}", "*?"].randomElement(using: &generator) ?? "*")
        case 3: return "(?:" + inner() + ")"
        case 4, 5: return inner() + inner()
        default: return pick()
        }
    }
}

@Suite struct ModulePatternsTests {
    @Test func `the first matching key in file order wins`() throws {
        let patterns = ModulePatterns([("layers.0.*", 2), ("q_proj", 4), ("v_proj", 8)])
        let names = ["layers.0.q_proj", "layers.1.q_proj", "layers.1.v_proj", "layers.1.k_proj"]
        #expect(try patterns.values(for: names) == [2, 4, 8, nil])
    }

    @Test func `a key that is the name itself counts even when it is no pattern for it`() throws {
        let patterns = ModulePatterns([("block+1.q", 3)])
        #expect(try patterns.values(for: ["block+1.q"]) == [3])
    }

    @Test func `a key that cannot be read is refused only when it is reached`() throws {
        let patterns = ModulePatterns([("q_proj", 1), ("(?=x)y", 2)])
        #expect(try patterns.values(for: ["a.q_proj"]) == [1])
        let failure = #expect(throws: Failure.self) { try patterns.values(for: ["a.v_proj"]) }
        #expect(failure?.code == .configBadValue)
        #expect(failure?.message.contains("(?=x)y") == true)
    }

    @Test func `keys that take too long are refused`() throws {
        let patterns = ModulePatterns([("(a?){300}(a?){300}c", 1)], budget: 1_000_000)
        let names = (0..<100).map { String(repeating: "a", count: 200) + "\($0)" }
        let failure = #expect(throws: Failure.self) { try patterns.values(for: names) }
        #expect(failure?.code == .configBadValue)
    }
}
