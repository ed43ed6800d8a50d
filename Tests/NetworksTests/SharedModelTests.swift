import Adapters
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Networks

/// Embeddings of the shared image backbone with real adapters; runs where the shared folder stands beside the package.
@Suite struct SharedModelTests {
    static let shared: String? = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        let path = url.deletingLastPathComponent().appendingPathComponent("shared").path
        return FileManager.default.fileExists(atPath: path + "/backbones/vit-tiny28/config.json") ? path : nil
    }()

    /// The first 32 test images of MNIST, normalised.
    static func images() throws -> [Float] {
        let path = try #require(Bundle.module.resourcePath) + "/Fixtures/mnist32.safetensors"
        let file = try SafetensorsFile(MappedBytes(path: path))
        let view = try #require(file.view("pixels"))
        return withExtendedLifetime(file) { view.bytes.map { (Float($0) / 255 - 0.1307) / 0.3081 } }
    }

    static func unit(_ features: [Float], width: Int) -> [Float] {
        stride(from: 0, to: features.count, by: width).flatMap { first in
            let row = features[first..<first + width]
            let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return row.map { $0 / norm }
        }
    }

    @Test(.enabled(if: shared != nil))
    func `golden embeddings of the image backbone and of its adapters`() throws {
        let root = try #require(Self.shared)
        let backbone = try Backbone<Float>(folder: root + "/backbones/vit-tiny28")
        let golden = try SafetensorsFile(MappedBytes(path: root + "/adapters/vit-mnist/golden_embeddings.safetensors"))
        let images = try Self.images()
        var compared = 0
        for name in golden.names.sorted() where name.contains("base") || name.contains("single_task") {
            let view = try #require(golden.view(name))
            var mix: AdapterMix<Float>?
            if let task = name.range(of: "task[0-9]", options: .regularExpression) {
                let adapter = try AdapterReader.read(path: root + "/adapters/vit-mnist/" + name[task])
                mix = try AdapterMix(
                    [LoRASlot(adapter, name: name, on: backbone.description)], on: backbone.description)
            }
            let found = Self.unit(try backbone.features(.images(images), pooling: .cls, mix: mix), width: 128)
            let expected = try view.floatMatrix(rows: 32, columns: 128).elements
            let error = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
            #expect(error < 1e-4, "\(name)")
            compared += 1
        }
        #expect(compared >= 6)
    }
}
