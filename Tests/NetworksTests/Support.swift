import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Networks

/// One reference case of `scripts/make_network_fixtures.py`.
struct Fixture: Sendable {
    let name: String
    let folder: String
    private let reference: SafetensorsFile

    static let images = ["vit_hf", "vit_hf_classifier", "vit_timm"]
    static let encoders = ["bert", "roberta"]
    static let decoders = ["llama", "mistral", "qwen2", "qwen3", "mamba", "falcon_mamba"]
    static let all = images + encoders + decoders

    init(_ name: String) throws {
        self.name = name
        let root = try #require(Bundle.module.resourcePath) + "/Fixtures/"
        folder = root + name
        reference = try SafetensorsFile(MappedBytes(path: folder + "/reference.safetensors"))
    }

    func backbone<S: NetworkScalar>(_: S.Type = S.self) throws -> Backbone<S> { try Backbone(folder: folder) }

    var names: [String] { reference.names }

    func shape(_ name: String) throws -> [Int] { try #require(reference.view(name)).shape }

    func numbers(_ name: String) throws -> [Double] {
        let view = try #require(reference.view(name), "no tensor \(name)")
        return try view.doubleMatrix(rows: 1, columns: view.count).elements
    }

    func integers(_ name: String) throws -> [Int32] {
        let view = try #require(reference.view(name), "no tensor \(name)")
        #expect(view.dtype == .i32)
        return (0..<view.count).map { view.bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self) }
    }

    func input<S>(_: S.Type = S.self) throws -> NetworkInput<S> {
        if reference.view("input.pixels") != nil { return .images(try numbers("input.pixels").map(Float.init)) }
        return .tokens(try tokens())
    }

    func tokens() throws -> TokenBatch {
        let ids = try integers("input.ids")
        var sequences: [[Int32]] = []
        var first = 0
        for length in try integers("input.lengths").map(Int.init) {
            sequences.append(Array(ids[first..<first + length]))
            first += length
        }
        return TokenBatch(sequences)
    }

    /// The adapter with a pair on every linear.
    func slot<S: NetworkScalar>(on backbone: Backbone<S>, name: String = "reference") throws -> LoRASlot<S> {
        let sites = names.filter { $0.hasPrefix("lora.") && $0.hasSuffix(".a") }.compactMap {
            SiteID(String($0.dropFirst(5).dropLast(2)))
        }
        let ranks = try sites.map { ($0, try shape("lora.\($0).a")[0], 0.5) }
        let slot = try LoRASlot<S>(name: name, sites: ranks, on: backbone.description)
        for pair in slot.pairs {
            _ = slot.a(pair).update(fromContentsOf: try numbers("lora.\(pair.site).a").map { S($0) })
            _ = slot.b(pair).update(fromContentsOf: try numbers("lora.\(pair.site).b").map { S($0) })
        }
        return slot
    }
}

/// Largest difference relative to the largest reference value.
func relativeError<S: BinaryFloatingPoint>(_ found: some Collection<S>, _ expected: [Double]) -> Double {
    guard found.count == expected.count else { return .infinity }
    let scale = expected.map(abs).max() ?? 0
    let error = zip(found, expected).map { abs(Double($0) - $1) }.max() ?? 0
    return error.isNaN || found.contains { $0.isNaN } ? .infinity : error / max(scale, 1e-30)
}

/// Reproducible numbers in [−1, 1).
struct Noise {
    private var random: CounterRandom
    private var next: UInt64 = 0

    init(_ seed: UInt64) { random = CounterRandom(seed: seed, stream: 1) }

    mutating func number() -> Double {
        defer { next += 1 }
        return 2 * Double(random.uniform(next)) - 1
    }

    mutating func numbers<S: BinaryFloatingPoint>(_ count: Int, scale: Double = 1) -> [S] {
        (0..<count).map { _ in S(number() * scale) }
    }
}

extension LoRASlot {
    /// Fills every factor with noise.
    func fill(_ seed: UInt64, scale: Double = 0.3) {
        var noise = Noise(seed)
        assign(noise.numbers(count, scale: scale))
    }
}
