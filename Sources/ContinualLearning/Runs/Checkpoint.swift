import Diagnostics
import Foundation
import Networks
import Tensors
import WeightFiles

/// Saves and restores the state of a run after a task. Loading is strict: every tensor, no other tensor, every shape.
struct Checkpoint {
    let layout: SlotLayout
    let configuration: RunConfiguration

    static let weightsName = "state.safetensors"
    static let stateName = "state.json"

    /// Fast slots as they were before the consolidation, and the slow slot that they met.
    struct Before {
        var slots: [(name: String, slot: LoRASlot<Float>)] = []
    }

    // MARK: Saving

    func save(_ state: EngineState, before: Before, into folder: String, extra: [JSONValue.Member]) throws {
        var tensors: [TensorView] = []
        for (name, slot) in state.all { tensors += try views(slot, prefix: name) }
        for (name, slot) in before.slots { tensors += try views(slot, prefix: "pre." + name) }
        tensors.append(try view("head.weight", [state.head.classCount, state.head.width], state.head.weightValues))
        tensors.append(try view("head.bias", [state.head.classCount], state.head.biasValues))
        let digest = try SafetensorsWriter.write(
            tensors, metadata: ["format": "lorabank.cil/1"], to: folder + "/" + Self.weightsName)
        let members: [JSONValue.Member] =
            [
                .init("schema", .string("lorabank.cil-checkpoint/1")), .init("finished", .integer(state.finished)),
                .init("weights", .string(digest.hex)), .init("last_fast", .integer(state.lastFast)),
                .init("trained", .array(state.fast.map { .bool($0.isTrained) })),
                .init(
                    "loss_average",
                    .array(state.fast.map { member in member.lossAverage.map(JSONValue.double) ?? .null })),
                .init("class_counts", .array(state.classCounts.map(JSONValue.integer))),
                .init("ranks", .object(state.all.map { name, slot in .init(name, ranks(slot)) })),
            ] + extra
        let text = JSONValue.object(members).text(.indented(2)) + "\n"
        try AtomicFile.write(Array(text.utf8), to: folder + "/" + Self.stateName)
    }

    private func ranks(_ slot: LoRASlot<Float>) -> JSONValue {
        .object(slot.pairs.map { .init("\($0.site)", .array([.integer($0.rank), .double($0.scale)])) })
    }

    private func views(_ slot: LoRASlot<Float>, prefix: String) throws -> [TensorView] {
        try slot.pairs.flatMap { pair in
            [
                try view("\(prefix).\(pair.site).lora_A", [pair.rank, pair.inputs], Array(slot.a(pair))),
                try view("\(prefix).\(pair.site).lora_B", [pair.outputs, pair.rank], Array(slot.b(pair))),
            ]
        }
    }

    private func view(_ name: String, _ shape: [Int], _ values: [Float]) throws -> TensorView {
        let rows = shape.first ?? 0
        let matrix = Matrix(rows: rows, columns: rows > 0 ? values.count / rows : 0, elements: values)
        let buffer = try TensorBuffer(name: name, dtype: .f32, matrix: matrix)
        return TensorView(
            name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }

    // MARK: Loading

    /// Puts a saved state into `state`.
    ///
    /// - Throws: `data.malformed` naming what is missing, extra or of another shape; `safetensors.*`, `io.*`.
    func load(from folder: String, into state: EngineState) throws {
        let path = folder + "/" + Self.stateName
        let document = try MappedFile(path: path).withBytes { try StrictJSON.parse($0, .configuration, path: path) }
        let weights = try SafetensorsFile(path: folder + "/" + Self.weightsName)
        func malformed(_ what: String, _ place: String? = nil) -> Failure {
            Failure(.dataMalformed, "the checkpoint " + what, path: folder, place: place)
        }
        guard let ranks = document["ranks"]?.members, let finished = document["finished"]?.integer,
            let trained = document["trained"]?.array?.compactMap(\.bool), trained.count == state.fast.count
        else { throw malformed("does not fit the configuration", Self.stateName) }
        var wanted: Set<String> = ["head.weight", "head.bias"]
        var slots: [String: LoRASlot<Float>] = [:]
        for member in ranks {
            let slot = try slot(member.key, member.value)
            for pair in slot.pairs {
                for (suffix, target, shape) in [
                    ("lora_A", slot.a(pair), [pair.rank, pair.inputs]),
                    ("lora_B", slot.b(pair), [pair.outputs, pair.rank]),
                ] {
                    let name = "\(member.key).\(pair.site).\(suffix)"
                    wanted.insert(name)
                    guard let view = weights.view(name) else { throw malformed("lacks a tensor", name) }
                    guard view.shape == shape else {
                        throw malformed("holds a tensor of shape \(view.shape), not \(shape)", name)
                    }
                    try view.copy(into: target)
                }
            }
            slots[member.key] = slot
        }
        let extra = weights.tensors.map(\.name).filter { !wanted.contains($0) && !$0.hasPrefix("pre.") }
        if let name = extra.first { throw malformed("holds a tensor that nothing needs", name) }
        guard Set(slots.keys) == Set(state.all.map(\.name)) else {
            throw malformed("holds the slots " + slots.keys.sorted().joined(separator: ", "))
        }
        state.slow = slots["slow"]
        state.mid = slots["mid"]
        for index in state.fast.indices {
            guard let slot = slots["fast[\(index)]"] else { continue }
            state.fast[index].slot = slot
            state.fast[index].isTrained = trained[index]
            state.fast[index].lossAverage = document["loss_average"]?.array?[index].double
        }
        guard let weight = weights.view("head.weight"), let bias = weights.view("head.bias"),
            weight.shape == [state.head.classCount, state.head.width], bias.shape == [state.head.classCount]
        else { throw malformed("has another head", "head.weight") }
        try weight.copy(into: state.head.weights(0..<state.head.classCount))
        try bias.copy(into: state.head.biases(0..<state.head.classCount))
        state.lastFast = document["last_fast"]?.integer ?? 0
        state.classCounts = document["class_counts"]?.array?.compactMap(\.integer) ?? state.classCounts
        state.finished = finished
    }

    private func slot(_ name: String, _ ranks: JSONValue) throws -> LoRASlot<Float> {
        let sites = (ranks.members ?? []).compactMap { member -> (site: SiteID, rank: Int, scale: Double)? in
            guard let site = SiteID(member.key), let list = member.value.array, list.count == 2,
                let rank = list[0].integer, let scale = list[1].double
            else { return nil }
            return (site, rank, scale)
        }
        guard sites.count == layout.sites.count else {
            throw Failure(
                .dataMalformed, "the checkpoint's slot covers other sites than the configuration", place: name)
        }
        return try LoRASlot<Float>(name: name, sites: sites, on: layout.backbone)
    }
}

extension SharedHead {
    var weightValues: [Float] { Array(weights(0..<classCount)) }
    var biasValues: [Float] { Array(biases(0..<classCount)) }
}
