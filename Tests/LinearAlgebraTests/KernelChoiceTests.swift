import Testing

@testable import LinearAlgebra

@Suite struct KernelChoiceTests {
    private let old: Set<String> = ["sse4_2", "avx2", "fma"]
    private let wide: Set<String> = ["avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]

    @Test func `a processor that OpenBLAS does not know gets kernels that fit it`() {
        #expect(BLASKernels.remedy(core: "Prescott", features: old) == "Haswell")
        #expect(BLASKernels.remedy(core: "Nehalem", features: wide) == "SkylakeX")
        #expect(BLASKernels.remedy(core: "Prescott", features: wide.union(["avx512_bf16"])) == "Cooperlake")
    }

    @Test func `a choice that fits stays`() {
        for core in ["Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"] {
            #expect(BLASKernels.remedy(core: core, features: wide) == nil)
        }
        #expect(BLASKernels.remedy(core: "Prescott", features: ["sse4_2", "avx"]) == nil)
    }
}
