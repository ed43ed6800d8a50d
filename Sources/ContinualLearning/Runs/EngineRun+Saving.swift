import Adapters
import Diagnostics
import Foundation
import Networks
import Tensors
import WeightFiles

extension EngineRun {
    /// Writes the task's checkpoint with its part of the tables: complete, or not at all.
    func save(
        _ task: Int, before: Checkpoint.Before, accuracy: [RunConfiguration.HeadKind: [Double]],
        record: inout TaskRecord, log: InvariantLog
    ) throws {
        record.event(
            "checkpoint",
            [
                .init("task", .integer(task)), .init("kind", .string("task")),
                .init("fast_norm", .array(try state.fast.map { .double(try $0.slot.norm()) })),
                .init("slow_norm", try state.slow.map { .double(try $0.norm()) } ?? .null),
            ])
        let target = folder.checkpointFolder(task)
        let atomic = try AtomicFolder(path: target, overwrite: true)
        let checkpoint = Checkpoint(layout: layout, configuration: configuration)
        try checkpoint.save(state, before: before, into: atomic.temporaryPath, extra: extras(task, accuracy, log))
        try record.write(into: atomic.temporaryPath + "/parts")
        try export(task, before: before, into: atomic.temporaryPath + "/adapters")
        try atomic.commit()
        // What is on the disk is what goes on: the same bits after an interruption as without one.
        try checkpoint.load(from: target, into: state)
    }

    private func extras(
        _ task: Int, _ accuracy: [RunConfiguration.HeadKind: [Double]], _ log: InvariantLog
    ) -> [JSONValue.Member] {
        [
            .init(
                "accuracy",
                .object(
                    panel.kinds.map { kind in
                        .init(kind.rawValue, .array((accuracy[kind] ?? []).map(JSONValue.double)))
                    })),
            .init("invariants_passed", .integer(log.results.count { $0.passes })),
            .init("invariants_failed", .integer(log.results.count { !$0.passes })),
            .init("trained_samples", .integer(trainedSamplesOf(task))),
            .init(
                "outcomes",
                .array(
                    lastOutcomes.map {
                        .array(
                            [$0.trueTask, $0.trueClass, $0.predictedClass, $0.predictedWithinTask].map(
                                JSONValue.integer))
                    })),
        ]
    }

    private func trainedSamplesOf(_ task: Int) -> Int {
        let frozen = configuration.structure == .backbone || (configuration.firstTaskOnly && task > 0)
        let experts = configuration.structure == .parallel ? state.fast.count : 1
        return frozen ? 0 : sequence.tasks[task].trainInput.count * configuration.epochs * experts
    }

    // MARK: Adapters

    /// PEFT folders of what this task made: the fast slot before its consolidation, and the slow and mid slots behind it.
    private func export(_ task: Int, before: Checkpoint.Before, into root: String) throws {
        let digits = String(task)
        for (name, slot) in before.slots where name == "fast[\(state.lastFast)]" {
            try write(slot, to: root + "/fast-" + digits, task)
        }
        if let slow = state.slow { try write(slow, to: root + "/slow-" + digits, task) }
        if let mid = state.mid { try write(mid, to: root + "/mid-" + digits, task) }
    }

    private func write(_ slot: LoRASlot<Float>, to path: String, _ task: Int) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try PEFTWriter.write(adapter(slot, seen: rowsOfTask[task].upperBound), into: path)
        let head = try [
            tensor(
                "weight", [rowsOfTask[task].upperBound, state.head.width],
                Array(state.head.weights(0..<rowsOfTask[task].upperBound))),
            tensor("bias", [rowsOfTask[task].upperBound], Array(state.head.biases(0..<rowsOfTask[task].upperBound))),
        ]
        let classes = sequence.order.prefix(rowsOfTask[task].upperBound).map { sequence.loaded.dataset.classNames[$0] }
        try SafetensorsWriter.write(
            head, metadata: ["format": "pt", "classes": JSONValue.array(classes.map(JSONValue.string)).text(.compact)],
            to: path + "/head.safetensors")
    }

    private func tensor(_ name: String, _ shape: [Int], _ values: [Float]) throws -> TensorView {
        let rows = shape[0]
        let buffer = try TensorBuffer(
            name: name, dtype: .f32,
            matrix: Matrix(rows: rows, columns: rows > 0 ? values.count / rows : 0, elements: values))
        return TensorView(
            name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }

    /// A slot under the module names of the backbone's own checkpoint. Directions that hold nothing are left out.
    func adapter(_ slot: LoRASlot<Float>, seen: Int) throws -> Adapter {
        let map = backbone.description.siteMap
        let names = Set(backbone.checkpointTensors.map(\.name))
        var modules: [LoRAModule] = []
        for pair in slot.pairs {
            let found = map.namings.flatMap { naming in
                naming.roots.compactMap { map.module(for: pair.site, naming: naming.name, root: $0) }
            }
            guard let name = found.first(where: { names.contains($0 + ".weight") }) ?? found.first else {
                throw Failure(.internalDefect, "the backbone has no module name for a site", place: "\(pair.site)")
            }
            modules.append(
                LoRAModule(
                    name: name, kind: .linear, dOut: pair.outputs, dIn: pair.inputs, rank: pair.rank,
                    scale: pair.scale, alpha: pair.scale * Double(pair.rank),
                    a: try tensor("lora_A", [pair.rank, pair.inputs], Array(slot.a(pair))),
                    b: try tensor("lora_B", [pair.outputs, pair.rank], Array(slot.b(pair))),
                    deltaShape: [pair.outputs, pair.inputs]))
        }
        return Adapter(
            modules: modules.sorted { $0.name < $1.name }, saved: [],
            base: BaseIdentity(name: configuration.backbone), format: "peft", configuration: .null, findings: [])
    }
}
