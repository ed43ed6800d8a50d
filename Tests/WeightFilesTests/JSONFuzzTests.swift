import Diagnostics
import Foundation
import Testing

@testable import WeightFiles

@Suite struct JSONFuzzTests {
    private static let seeds = [
        #"{"r":8,"lora_alpha":16.0,"target_modules":["q_proj","v_proj"],"rank_pattern":{"v_proj":2},"bias":"none"}"#,
        #"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}}   "#,
        #"[1,-2.5e-7,true,false,null,"\u00e9\ud83d\ude00\\\/\"",{"é":[[[]]]}]"#,
        "{\n  \"a\": 1e999,\n\t\"b\" : [ ] \r\n}",
    ]
    private static let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00", "null", "true", "NaN", "1e9", "-", ".",
        "00",
        "\"a\":1,", "\u{FEFF}", "[[[[[[[[", "é",
    ].map { Array($0.utf8) }

    /// 20,000 damaged documents: no crash, only declared codes, and whatever is accepted another parser accepts too.
    @Test(arguments: [1, 2] as [UInt64])
    func `mutations are refused or read the same way twice`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let allowed: Set<ErrorCode> = [.configNotJson, .configDuplicateKey, .configTooDeep]
        var accepted = 0
        for round in 0..<10_000 {
            let bytes = Mutation.apply(
                Array(JSONFuzzTests.seeds[round % JSONFuzzTests.seeds.count].utf8), tokens: JSONFuzzTests.tokens,
                &random)
            do {
                let value = try StrictJSON.parse(bytes, .configuration)
                accepted += 1
                let again = try StrictJSON.parse(value.text(), .configuration)
                #expect(again == value)
                let foundation = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
                // Foundation refuses numbers beyond the largest double, which JSON allows.
                #expect(
                    foundation != nil || JSONFuzzTests.hasHugeNumber(value), "\(String(decoding: bytes, as: UTF8.self))"
                )
            } catch let failure as Failure {
                #expect(allowed.contains(failure.code), "\(failure)")
            }
        }
        #expect(accepted > 100)
    }

    private static func hasHugeNumber(_ value: JSONValue) -> Bool {
        if let number = value.double { return number.isInfinite }
        return (value.array ?? value.members?.map(\.value) ?? []).contains(where: hasHugeNumber)
    }
}
