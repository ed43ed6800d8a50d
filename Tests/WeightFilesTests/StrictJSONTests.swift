import Diagnostics
import Testing

@testable import WeightFiles

@Suite struct StrictJSONTests {
    private func parse(_ text: String, _ rules: StrictJSON.Rules = .configuration) throws -> JSONValue {
        try StrictJSON.parse(text, rules)
    }

    private func failure(_ bytes: [UInt8], _ rules: StrictJSON.Rules = .configuration) -> Failure? {
        do {
            _ = try StrictJSON.parse(bytes, rules, path: "x.json")
            return nil
        } catch {
            return error as? Failure
        }
    }

    @Test func `every kind of value is read`() throws {
        let value = try parse(#" {"a":[1,-2.5e+3,true,false,null,"x"],"b":{},"c":[]} "#)
        #expect(value["a"]?.array?.count == 6)
        #expect(value["a"]?.array?[0].integer == 1)
        #expect(value["a"]?.array?[1].double == -2500)
        #expect(value["a"]?.array?[2].bool == true)
        #expect(value["a"]?.array?[4] == .null)
        #expect(value["b"] == .object([]))
        #expect(value["c"] == .array([]))
        #expect(value["d"] == nil)
        #expect(value.members?.map(\.key) == ["a", "b", "c"])
    }

    @Test(arguments: ["0", "-0", "10", "1.0", "1e5", "1E-05", "-0.5e+10", "123456789012345678901234567890", "1e999"])
    func `numbers keep their literal`(literal: String) throws {
        #expect(try parse(literal) == .number(literal))
    }

    @Test func `numbers convert only when they fit`() throws {
        #expect(try parse("9223372036854775807").integer == .max)
        #expect(try parse("9223372036854775808").integer == nil)
        #expect(try parse("4.0").integer == nil)
        #expect(try parse("1e999").double == .infinity)
        #expect(try parse("-1e999").double == -.infinity)
        #expect(try parse("0.1").double == 0.1)
        #expect(try parse("\"1\"").double == nil)
    }

    @Test(arguments: [
        (#""""#, ""), (#""a\/b""#, "a/b"), (#""\"\\\b\f\n\r\t""#, "\"\\\u{8}\u{C}\n\r\t"), (#""A\u00e9""#, "Aé"),
        (#""😀""#, "😀"), (#""😀é日""#, "😀é日"), (#""\u0000""#, "\0"), (#""\uFFFF""#, "\u{FFFF}"),
    ])
    func `strings are unescaped`(literal: String, text: String) throws {
        #expect(try parse(literal) == .string(text))
    }

    @Test(arguments: [
        "", " ", "{", "}", "[1,]", "[,1]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{'a':1}", "{\"a\":}", "[1 2]", "01",
        "1.",
        ".5", "+1", "1e", "1e+", "--1", "-", "0x10", "NaN", "Infinity", "-Infinity", "nul", "True", "truefalse", "tru",
        "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\u{1}\"", "\"a\nb\"", "1 2", "{}{}", "[]x",
        "// c\n1", "/* c */1", "\u{FEFF}1", "1\u{A0}", "[1]\0", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
        "\"\\ud800x\"", "\"\\ud83d\\ud83d\"", "[1,2", "{\"a\"", "{\"a\":1", "{\"a\":1,\"b\"", "1e5.5", "1,",
    ])
    func `what is not JSON is refused`(text: String) {
        #expect(failure(Array(text.utf8))?.code == .configNotJson)
    }

    @Test(
        arguments: [
            [0xC3, 0x28], [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80],
            [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80],
            [0xFF], [0xFE], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC2], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28],
        ] as [[UInt8]])
    func `bytes that are not UTF-8 are refused before the grammar`(bad: [UInt8]) {
        for padding in [0, 1, 7, 8, 9, 20] {
            let text = [UInt8](repeating: 0x20, count: padding) + [0x22] + bad + [0x22] + Array("  not json".utf8)
            let failure = failure(text, .safetensorsHeader)
            #expect(failure?.code == .safetensorsHeaderNotUtf8)
            #expect(failure?.place == "byte \(padding + 1)")
        }
    }

    @Test func `the borders of UTF-8 are accepted`() throws {
        for scalar in [0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF] as [UInt32] {
            let text = String(try #require(Unicode.Scalar(scalar)))
            #expect(try parse("\"\(text)\"") == .string(text))
        }
    }

    @Test(arguments: [
        #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":1}"#, #"[{"x":{"r":1,"q":2,"r":1}}]"#, #"{"é":1,"é":1}"#,
    ])
    func `a key that occurs twice is refused at any level`(text: String) {
        #expect(failure(Array(text.utf8))?.code == .configDuplicateKey)
    }

    @Test func `a second key is found among many`() {
        let many = (0..<1000).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(failure(Array("{\(many)}".utf8)) == nil)
        for repeated in [0, 7, 8, 9, 500, 999] {
            #expect(failure(Array("{\(many),\"k\(repeated)\":1}".utf8))?.code == .configDuplicateKey)
        }
    }

    @Test func `the same key in two objects is fine`() throws {
        #expect(try parse(#"{"a":{"x":1},"b":{"x":1},"x":[{"x":1},{"x":2}]}"#).members?.count == 3)
    }

    @Test func `broken grammar wins over a duplicate before it`() {
        #expect(failure(Array(#"{"a":1,"a":2"#.utf8))?.code == .configNotJson)
    }

    @Test func `depth is limited and never exhausts the stack`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(String(repeating: "[", count: depth).utf8) + Array(String(repeating: "]", count: depth).utf8)
        }
        #expect(failure(nested(64)) == nil)
        #expect(failure(nested(65))?.code == .configTooDeep)
        #expect(failure(nested(32), .safetensorsHeader) == nil)
        #expect(failure(nested(33), .safetensorsHeader)?.code == .safetensorsJsonTooDeep)
        #expect(failure(nested(300_000))?.code == .configTooDeep)
        #expect(failure(Array(String(repeating: "{\"a\":", count: 100_000).utf8))?.code == .configTooDeep)
        // Siblings are not depth.
        #expect(failure(Array("[\([String](repeating: "[[]]", count: 200).joined(separator: ","))]".utf8)) == nil)
    }

    @Test func `the place of an error is a line and a column`() {
        #expect(failure(Array("{\n \"a\": 1,\n \"é\": x}".utf8))?.place == "line 3, column 7")
        #expect(failure(Array("x".utf8))?.place == "line 1, column 1")
        #expect(failure(Array("{\"a\":1,\n\"a\":2}".utf8))?.place == "line 2, column 1")
        #expect(failure(Array("x".utf8))?.path == "x.json")
    }

    @Test func `size is limited`() {
        var rules = StrictJSON.Rules.configuration
        rules.maximumBytes = 4
        #expect(failure(Array("[12]".utf8), rules) == nil)
        #expect(failure(Array("[123]".utf8), rules)?.code == .configTooLarge)
    }

    @Test func `only spaces may stand around a header`() {
        #expect(failure(Array("{}   ".utf8), .safetensorsHeader) == nil)
        for tail in ["\n", "\t", "\r", "\0", "x", "{}"] {
            #expect(failure(Array("{}\(tail)".utf8), .safetensorsHeader)?.code == .safetensorsHeaderNotJson)
        }
        #expect(failure(Array("{\n\t\"a\" : 1\r\n}".utf8), .safetensorsHeader) == nil)
        #expect(failure(Array("\n{} \t\r\n".utf8)) == nil)
    }
}
