import Tensors
import Testing
import WeightFiles

@testable import ContinualLearning

@Suite struct `Studies` {
    func result(_ last: Double, leaky: Bool = false) -> JSONValue {
        let numbers = JSONValue.object([
            .init("last", .double(last)), .init("avg_incremental", .double(last)), .init("forgetting", .null),
        ])
        return .object([.init("heads", .object([.init("linear", numbers)])), .init("leaky", .bool(leaky))])
    }

    func table(_ seeds: Int, leaky: Bool = false) -> StudyTable {
        var results: [String: [Int: JSONValue]] = [:]
        for seed in 0..<seeds {
            let noise = Double(seed % 3) / 100
            results["backbone", default: [:]][seed] = result(0.5 + noise)
            results["joint", default: [:]][seed] = result(0.9 + noise)
            results["chain/ta", default: [:]][seed] = result(0.7 + noise * 1.5)
            results["chain/pam-lite", default: [:]][seed] = result(seed % 2 == 0 ? 0.55 : 0.45, leaky: leaky)
            results["moe-v0/ta", default: [:]][seed] = result(0.3 + noise)
        }
        return StudyTable(settings: StudyPreset.twoByTwo.settings, results: results)
    }

    @Test func `rows are paired with the backbone by seed, and findings name what is clear`() throws {
        let table = table(5)
        #expect(table.heads == ["linear"] && table.seeds == [0, 1, 2, 3, 4])
        let rows = table.rows(head: "linear")
        let chain = try #require(rows.first { $0.setting.name == "chain/ta" })
        #expect(abs(try #require(chain.againstBackbone).mean - 0.204) < 1e-9)
        #expect(rows.first { $0.setting.name == "backbone" }?.againstBackbone == nil)
        let findings = table.findings(head: "linear")
        #expect(findings[0] == "Head linear: clearly above the frozen backbone with the same head: chain/ta.")
        #expect(findings[1] == "Clearly below it: moe-v0/ta." && findings[2].contains("chain/pam-lite"))
        #expect(table.cautions.contains { $0.contains("Not finished for all seeds: moe-v0/pam-lite") })
    }

    @Test func `two seeds give no ranking, and leaks are named`() {
        #expect(table(2).findings(head: "linear").isEmpty)
        #expect(table(2).cautions.contains { $0.hasPrefix("Fewer than three seeds") })
        #expect(table(3, leaky: true).cautions.contains { $0.hasPrefix("LEAKY") })
        #expect(StudyTable(settings: [], results: [:]).heads.isEmpty)
    }

    @Test(arguments: StudyPreset.allCases) func `every preset has its anchors and names of its own`(
        _ preset: StudyPreset
    ) {
        let names = preset.settings.map(\.name)
        #expect(Set(names).count == names.count)
        for merging in preset.settings.compactMap(\.merging) { #expect(names.contains(merging.source)) }
        #expect(preset.settings.filter(\.isAnchor).map(\.name) == ["backbone", "joint"])
    }
}
