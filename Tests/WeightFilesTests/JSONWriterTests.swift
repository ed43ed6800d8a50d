import Testing

@testable import WeightFiles

@Suite struct JSONWriterTests {
    private let sample = JSONValue.object([
        .init("r", .number("8")), .init("lora_alpha", .number("1e-05")), .init("empty", .object([])),
        .init("none", .array([])), .init("list", .array([.string("q_proj"), .null, .bool(true)])),
        .init("a", .object([.init("x", .bool(false))])),
    ])

    @Test func `compact text has no white space`() {
        #expect(
            sample.text()
                == #"{"r":8,"lora_alpha":1e-05,"empty":{},"none":[],"list":["q_proj",null,true],"a":{"x":false}}"#)
    }

    /// `json.dumps(value, indent=2)` of Python 3.11.
    @Test func `indented text is that of Python`() {
        #expect(
            sample.text(.indented(2)) == """
                {
                  "r": 8,
                  "lora_alpha": 1e-05,
                  "empty": {},
                  "none": [],
                  "list": [
                    "q_proj",
                    null,
                    true
                  ],
                  "a": {
                    "x": false
                  }
                }
                """)
    }

    @Test func `keys are sorted by code points on request`() {
        let value = JSONValue.object([
            .init("b", .null), .init("é", .null), .init("B", .null),
            .init("a", .object([.init("z", .null), .init("y", .null)])),
            .init("😀", .null), .init("\u{FFFD}", .null),
        ])
        #expect(
            value.text(sortKeys: true, asciiOnly: false)
                == #"{"B":null,"a":{"y":null,"z":null},"b":null,"é":null,"�":null,"😀":null}"#)
    }

    /// `json.dumps` of the same string in Python 3.11.
    @Test func `strings are escaped as Python escapes them`() {
        let value = JSONValue.string("a\"\\/\u{8}\u{C}\n\r\t\u{0}\u{1F}\u{7F}é\u{2028}日😀")
        #expect(value.text() == #""a\"\\/\b\f\n\r\t\u0000\u001f\u007f\u00e9\u2028\u65e5\ud83d\ude00""#)
        #expect(value.text(asciiOnly: false) == "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7F}é\u{2028}日😀\"")
    }

    @Test func `numbers are written so that they read back`() {
        #expect(JSONValue.integer(-42).text() == "-42")
        for value in [0.1, 1e300, -2.5e-7, 3, .pi, .leastNonzeroMagnitude, .greatestFiniteMagnitude] {
            #expect(JSONValue.double(value).double == value)
            #expect((try? StrictJSON.parse(JSONValue.double(value).text(), .configuration).double) == value)
        }
        #expect(JSONValue.double(.nan) == .null)
        #expect(JSONValue.double(-.infinity) == .null)
    }

    @Test func `what is written reads back equal`() throws {
        for layout in [JSONValue.Layout.compact, .indented(2), .indented(0)] {
            #expect(try StrictJSON.parse(sample.text(layout), .configuration) == sample)
        }
    }
}
