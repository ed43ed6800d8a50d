import Adapters
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// Results of PEFT's random types with given masks, of the authors' TIES, of KnOTS and Iso-C, on adapters.
@Suite struct MergeGoldenMethodTests {
    typealias GoldenCase = MergeGoldenTests.GoldenCase

    static let prefixes = ["iso_c_lora_rank", "knots_", "fb_ties_lora_", "peft_dare_"]
    static let cases = MergeGoldenTests.all.filter { golden in prefixes.contains { golden.id.hasPrefix($0) } }

    static func plan(_ golden: GoldenCase) throws -> StagePlan {
        var plan = try golden.plan()
        var parameters: [String: ParameterValue] = [:]
        let method: String
        switch golden.id {
        case "iso_c_lora_rank": (method, plan.compatibility) = ("iso_c", .none)
        case "knots_sum": (method, plan.compatibility) = ("knots_ta", .none)
        case let id where id.hasPrefix("peft_"):
            method = try #require(golden.type)
            parameters = plan.modules[0].parameters
            parameters["mask_file"] = .text("\(golden.folder)/expected/\(id).safetensors")
        default:
            (method, plan.compatibility) = (golden.id.hasPrefix("knots") ? "knots_ties" : "ties", .reference)
            let percent = try #require(golden.document["params"]?["top_percent"]?.double)
            parameters["density"] = .number(percent / 100)
            parameters["reduce"] = .text(try #require(golden.document["params"]?["merge_func"]?.string))
            plan.output.rank = .keep
        }
        for i in plan.modules.indices {
            plan.modules[i].method = method
            plan.modules[i].parameters = parameters
        }
        return plan
    }

    @Test func `the committed cases are there`() {
        for prefix in Self.prefixes { #expect(Self.cases.contains { $0.id.hasPrefix(prefix) }, "\(prefix)") }
    }

    @Test(arguments: cases) func `the result is that of the other program`(_ golden: GoldenCase) throws {
        let outcome = try MergeOutcome.of(try Self.plan(golden))
        let expected = try golden.expected()
        let byFactors = golden.document["compare"]?.string == "factors"
        #expect(outcome.record.modules.count == 8)
        for module in outcome.record.modules.map(\.name) {
            let delta = try #require(expected[module + ".delta"] ?? expected[module])
            #expect(golden.excess(try outcome.delta(module), delta) <= 0, "\(module)")
            guard byFactors else { continue }
            #expect(
                golden.excess(try outcome.a(module), try #require(expected[module + ".lora_A"])) <= 0, "\(module) A")
            #expect(
                golden.excess(try outcome.b(module), try #require(expected[module + ".lora_B"])) <= 0, "\(module) B")
        }
    }
}
