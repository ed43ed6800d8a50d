import Adapters
import Diagnostics
import Evaluation
import Foundation
import Networks
import Routing
import Tensors
import WeightFiles

/// What the command line asks for in `router`.
struct RouterBenchOptions {
    var backbone = ""
    var experts = 10
    var rank = 8
    var active = 2
    var batch = 32
    var tokens = 16
    var threads = ProcessInfo.processInfo.activeProcessorCount
    var rounds = 15

    static let usage = """
        usage: lorabank-bench router --backbone DIR [--experts N] [--rank R] [--active K] [--batch N] [--tokens N]
            [--threads N] [--rounds N]
        """

    init(_ arguments: some Collection<String>) throws {
        var rest = Array(arguments)[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Self.wrong("\(name) needs a value") }
            if name == "--backbone" {
                backbone = value
                continue
            }
            guard let number = Int(value), number > 0 else { throw Self.wrong("\(name): '\(value)' is no count") }
            switch name {
            case "--experts": experts = number
            case "--rank": rank = number
            case "--active": active = number
            case "--batch": batch = number
            case "--tokens": tokens = number
            case "--threads": threads = number
            case "--rounds": rounds = number
            default: throw Self.wrong("unknown option \(name)")
            }
        }
        if backbone.isEmpty { throw Self.wrong("name a backbone that reads tokens") }
    }

    static func wrong(_ message: String) -> Failure { Failure(.usageBadArgument, message, hint: usage) }
}

/// Times a mixture with a trained router's arithmetic beside the same backbone with one adapter, alternating.
struct RouterBenchmark {
    private struct Case {
        let name: String
        let run: () throws -> Void
    }

    let options: RouterBenchOptions
    private let backbone: Backbone<Float>
    private let slots: [LoRASlot<Float>]
    private let input: NetworkInput<Float>

    init(_ options: RouterBenchOptions) throws {
        self.options = options
        let backbone = try Backbone<Float>(folder: options.backbone)
        guard case .tokens = backbone.description.input else {
            throw RouterBenchOptions.wrong("the backbone reads no tokens")
        }
        self.backbone = backbone
        slots = try (0..<options.experts).map { try Self.slot($0, options.rank, backbone.description) }
        let random = CounterRandom(seed: 1, stream: "router benchmark", "tokens")
        input = .tokens(
            TokenBatch(
                (0..<options.batch).map { row in
                    // Lengths from half of the mean to one and a half times it, as sentences have.
                    let length = options.tokens / 2 + row * options.tokens / max(1, options.batch - 1)
                    return (0..<max(1, length)).map { place in
                        Int32(1 + random.uniform(UInt64(row * 4096 + place)) * 999)
                    }
                }))
    }

    /// An adapter of random numbers on the attention's linears.
    private static func slot(
        _ index: Int, _ rank: Int, _ description: BackboneDescription
    ) throws -> LoRASlot<Float> {
        let kinds = Set(description.groups.flatMap(\.kinds))
        let sites = try description.sites([SiteKind.q, .k, .v, .o, .in, .out].filter(kinds.contains))
        let slot = try LoRASlot<Float>(
            name: "expert \(index)", sites: sites.map { ($0, rank, 2.0) }, on: description)
        let random = CounterRandom(seed: 1, stream: "router benchmark", "expert \(index)")
        random.fillNormals(from: 0, into: slot.values)
        for i in slot.values.indices { slot.values[i] *= 0.02 }
        return slot
    }

    func run() throws -> JSONValue {
        let cases = try cases()
        var seconds: [[Double]] = Array(repeating: [], count: cases.count)
        for round in 0...options.rounds {
            for (index, entry) in cases.enumerated() {
                let clock = ContinuousClock()
                let elapsed = try clock.measure { try entry.run() }.components
                // The first round warms caches up.
                guard round > 0 else { continue }
                seconds[index].append(Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
            }
        }
        let medians = seconds.map { $0.sorted()[$0.count / 2] }
        let reference = medians[cases.firstIndex { $0.name == "one adapter" } ?? 0]
        let rows = zip(cases, zip(medians, seconds)).map { entry, times in
            JSONValue.object([
                .init("case", .string(entry.name)), .init("milliseconds", number(times.0 * 1e3)),
                .init("milliseconds_min", number((times.1.min() ?? 0) * 1e3)),
                .init("ratio_to_one_adapter", number(times.0 / reference)),
            ])
        }
        return .object([
            .init("schema", .string("lorabank.bench.router/1")), .init("backbone", .string(options.backbone)),
            .init("experts", count(options.experts)), .init("rank", count(options.rank)),
            .init("active", count(options.active)), .init("batch", count(options.batch)),
            .init("tokens", count(try backbone.lengths(of: input).reduce(0, +))),
            .init("threads", count(options.threads)), .init("rounds", count(options.rounds)),
            .init("cases", .array(rows)),
        ])
    }

    private func count(_ value: Int) -> JSONValue { .number(String(value)) }
    private func number(_ value: Double) -> JSONValue { .number(String(format: "%.4g", value)) }

    // MARK: Cases

    private func cases() throws -> [Case] {
        let one = try AdapterMix([slots[0]], on: backbone.description)
        let merged = try backbone.adding(slots[0].deltas())
        var result = [
            Case(name: "backbone") { _ = try features() },
            Case(name: "one adapter, merged into the weights") { _ = try features(on: merged) },
            Case(name: "one adapter") { _ = try features(one, .ones(1)) },
        ]
        for granularity in RouterOptions.Granularity.allCases {
            let router = try router(granularity)
            for (name, plan) in plans {
                let mix = try AdapterMix(slots, on: backbone.description, plan: plan)
                result.append(
                    Case(name: "top-\(options.active) per \(granularity.rawValue) at every input, \(name)") {
                        _ = try features(mix, .routed(router))
                    })
            }
        }
        let weights = sampleWeights()
        for (name, plan) in plans {
            let mix = try AdapterMix(slots, on: backbone.description, plan: plan)
            result.append(
                Case(name: "top-\(options.active) decided for each sample beforehand, \(name)") {
                    _ = try features(mix, .perSample(weights))
                })
        }
        return result
    }

    private var plans: [(String, AdapterMix<Float>.Plan)] {
        [("dense", .packed), ("gather", .gather), ("hybrid", .hybrid), ("segment", .separate)]
    }

    private func features(
        _ mix: AdapterMix<Float>? = nil, _ coefficients: Coefficients<Float>? = nil, on other: Backbone<Float>? = nil
    ) throws -> [Float] {
        try (other ?? backbone).features(
            input, pooling: .mean, mix: mix, coefficients: coefficients, threads: options.threads)
    }

    private func router(_ granularity: RouterOptions.Granularity) throws -> LearnedRouter<Float> {
        var router = RouterOptions()
        router.granularity = granularity
        let model = try RouterModel(
            router, coverage: ExpertCoverage(slots.map(\.sites)), on: backbone.description)
        let random = CounterRandom(seed: 1, stream: "router benchmark", "router")
        for i in 0..<model.count { model.parameters[i] = Double(random.uniform(UInt64(i))) - 0.5 }
        return LearnedRouter<Float>(model, routing: RoutingOptions(mode: .topk, k: options.active))
    }

    /// Equal weights for as many experts as are active, others for each sample.
    private func sampleWeights() -> [Float] {
        (0..<options.batch).flatMap { row in
            (0..<options.experts).map { expert in
                let place = (expert + options.experts - row % options.experts) % options.experts
                return place < options.active ? 1 / Float(options.active) : 0
            }
        }
    }
}
