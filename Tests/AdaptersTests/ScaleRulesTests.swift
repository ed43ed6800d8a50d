import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Adapters

/// What PEFT's `merge_and_unload` makes of base and adapter: base + scale · B · A for every module.
@Suite(.enabled(if: Shared.isThere)) struct ScaleRulesTests {
    @Test(arguments: ["dan", "eve", "kim", "sue", "tom"])
    func `folding an adapter into the base gives PEFT's weights`(name: String) throws {
        let adapter = try AdapterReader.read(path: Shared.path("golden/adapters/\(name)"))
        let base = try SafetensorsFile(path: Shared.path("golden/dense/base.safetensors"))
        let expected = try SafetensorsFile(path: Shared.path("golden/expected/fold_\(name).safetensors"))
        #expect(!adapter.modules.isEmpty)
        for module in adapter.modules {
            let key = try #require(expected.names.first { $0.contains(module.name) })
            let start = try #require(base.names.first { $0.contains(module.name) })
            let delta = try module.slowDelta()
            let weights = try #require(base.view(start)).doubleMatrix(rows: module.dOut, columns: module.dIn)
            let folded = try #require(expected.view(key)).doubleMatrix(rows: module.dOut, columns: module.dIn)
            let largest = folded.elements.reduce(0) { max($0, abs($1)) }
            for (i, value) in folded.elements.enumerated() {
                #expect(abs(weights.elements[i] + delta[i] - value) <= 1e-6 + 1e-5 * largest)
            }
        }
    }
}
