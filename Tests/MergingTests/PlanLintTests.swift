import Testing

@testable import Merging

@Suite struct PlanLintTests {
    func lint(_ text: String, _ library: MemoryLibrary) throws -> [String] {
        MergeLint.warnings(in: try plan(text, library), registry: TestMethods.registry).map(\.code)
    }

    let pair = MemoryLibrary(TestAdapters.adapter("a"), TestAdapters.adapter("b"))

    @Test(arguments: [
        ("merge_method: linear\nmodels: [a, b]", [String]()),
        ("merge_method: ties\nmodels: [a, b]", []),
        ("merge_method: linear\ncompat: peft\nmodels: [a, b]", ["lint.factorwise"]),
        ("merge_method: linear\ncompat: peft\nmodels: [a]", []),
        ("merge_method: ties\nmodels: [a, b]\noutput: { rank: 2 }", ["lint.low_rank"]),
        ("merge_method: ties\nmodels: [a, b]\noutput: { rank: max }", ["lint.low_rank"]),
        ("merge_method: ties\nmodels: [a, b]\noutput: { rank: 8 }", []),
        (
            "merge_method: tsv_m\nmodels: [a, b]\nparameters: { weight: 0 }\ndrop_zero_weight: false",
            ["lint.zero_weight"]
        ),
        ("merge_method: task_arithmetic\nmodels: [a, b, a]", ["lint.large_sum"]),
        ("merge_method: task_arithmetic\nmodels: [a, b, a]\nparameters: { lambda: 0.3 }", []),
        ("merge_method: dare_linear\nmodels: [a, b]\nseed: 1\nparameters: { density: 0.01 }", ["lint.faint_density"]),
        ("merge_method: opcm\nmodels: [\"tag:x\"]", ["lint.order_of_tags"]),
        ("merge_method: opcm\nmodels: [a, b]", []),
    ])
    func `doubtful merges are named, others are not`(_ test: (text: String, codes: [String])) throws {
        #expect(try lint(test.text, pair) == test.codes)
    }

    @Test func `other bases, other ranks and nothing in common are named`() throws {
        let bases = MemoryLibrary(TestAdapters.adapter("a"), TestAdapters.adapter("b", base: "base/else"))
        #expect(
            try lint("merge_method: linear\nmodels: [a, b]\nallow_base_mismatch: true", bases) == ["lint.unequal_bases"]
        )
        let wide = TestAdapters.adapter("b", layers: [], extra: [TestAdapters.module("layers.0.attn", rank: 3)])
        let ranks = MemoryLibrary(TestAdapters.adapter("a"), wide)
        let peft = "merge_method: linear\ncompat: peft\nmodels: [a, b]"
        #expect(try lint(peft, ranks) == ["lint.factorwise", "lint.unequal_ranks"])
        #expect(try lint(peft + "\npad: zero", ranks) == ["lint.factorwise"])
        let apart = MemoryLibrary(TestAdapters.adapter("a", layers: [0]), TestAdapters.adapter("b", layers: [1]))
        #expect(try lint("merge_method: linear\nmodels: [a, b]", apart) == ["lint.nothing_shared"])
    }
}
