import Diagnostics
import Digests
import Networks
import Tensors
import Training
import WeightFiles

/// A state of a run in one safetensors file: tensors by name, everything else as JSON in the metadata
/// (cil-engine 17).
enum Checkpoint {
    enum Kind: String {
        /// After a task.
        case task
        /// Between two steps.
        case step
        /// Before a consolidation.
        case pre
    }

    // MARK: Writing

    /// - Parameters:
    ///   - training: where the task's training stands, for `step`.
    ///   - header: what the run adds: logs, run id, configuration.
    static func write(
        _ kind: Kind, _ state: RunState, training: TaskTrainer? = nil, header: [JSONValue.Member], to path: String
    ) throws {
        var tensors = try self.tensors(of: state)
        if let training { tensors += try self.tensors(of: training) }
        var members: [JSONValue.Member] = [.init("kind", .string(kind.rawValue))] + header
        members += [.init("state", document(of: state))]
        if let training { members.append(.init("training", document(of: training))) }
        try SafetensorsWriter.write(
            tensors, metadata: ["format": "lorabank.cil/1", "state": JSONValue.object(members).text()], to: path,
            overwrite: true)
    }

    static func tensor(_ name: String, _ shape: [Int], _ values: some Collection<Float>) throws -> TensorView {
        let buffer = try TensorBuffer(name: name, dtype: .f32, shape: shape)
        let numbers = Array(values)
        numbers.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
        return buffer.view
    }

    static func tensor(_ name: String, _ matrix: Matrix<Double>) throws -> TensorView {
        let buffer = try TensorBuffer(name: name, dtype: .f64, shape: [matrix.rows, matrix.columns])
        matrix.elements.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
        return buffer.view
    }

    /// Slots, head, gate, carried gradients.
    static func tensors(of state: RunState) throws -> [TensorView] {
        var result: [TensorView] = []
        for name in state.memory.names {
            guard let slot = state.memory[name] else { continue }
            for pair in slot.pairs {
                result.append(
                    try tensor("slot/\(name)/\(pair.site)/A", [pair.rank, pair.inputs], slot.a(pair)))
                result.append(
                    try tensor("slot/\(name)/\(pair.site)/B", [pair.outputs, pair.rank], slot.b(pair)))
            }
        }
        let rows = state.head.rows
        result.append(
            try tensor("head/weights", [rows.count, rows.width], rows.weights(of: 0..<rows.count)))
        result.append(try tensor("head/bias", [rows.count], rows.bias(of: 0..<rows.count)))
        for (name, values) in state.carried.sorted(by: { $0.key < $1.key }) {
            result.append(try tensor("carried/\(name)", [values.count], values))
        }
        if let gate = state.gate {
            result.append(try tensor("gate/weights", gate.weights))
            var means = Matrix<Double>(rows: gate.means.count, columns: gate.width + 2)
            for (row, mean) in gate.means.enumerated() {
                means[row, 0] = Double(mean.slot)
                means[row, 1] = mean.count
                for i in 0..<gate.width { means[row, i + 2] = mean.feature[i] }
            }
            result.append(try tensor("gate/means", means))
        }
        return result
    }

    private static func tensors(of training: TaskTrainer) throws -> [TensorView] {
        var result: [TensorView] = []
        let state = training.optimizer.state
        for index in state.first.indices {
            result.append(try tensor("optimizer/\(index)/first", [state.first[index].count], state.first[index]))
            result.append(try tensor("optimizer/\(index)/second", [state.second[index].count], state.second[index]))
        }
        for (lane, rows) in training.laneRows.enumerated() {
            result.append(
                try tensor(
                    "lane/\(lane)/weights", [rows.count, rows.width],
                    rows.weights(of: rows.first..<rows.first + rows.count)))
            result.append(
                try tensor("lane/\(lane)/bias", [rows.count], rows.bias(of: rows.first..<rows.first + rows.count)))
        }
        for (name, sums) in training.pending.sorted(by: { $0.key < $1.key }) {
            result.append(try tensor("pending/\(name)", [sums.count], sums))
        }
        return result
    }

    private static func document(of state: RunState) -> JSONValue {
        let memory = state.memory
        return .object([
            .init("finished", .integer(state.finished)),
            .init("trained", .array(memory.isTrained.map(JSONValue.bool))),
            .init("loss_average", .array(memory.lossAverage.map { .measured($0) })),
            .init("last_trained", memory.lastTrained.map(JSONValue.integer) ?? .null),
            .init(
                "scales",
                .object(
                    memory.names.compactMap { name in
                        memory[name]?.pairs.first.map { .init("\(name)", .double($0.scale)) }
                    })),
            .init("cascades", .integer(state.cascades)),
            .init("trained_on", .array(state.trainedOn.map(JSONValue.integer))),
            .init(
                "validation",
                .array(state.validationRows.map { .array($0.map { .measured($0) }) })),
            .init("transfer_before", .array(state.transferBefore.map(JSONValue.double))),
            .init("transfer_untouched", .array(state.transferUntouched.map(JSONValue.double))),
            .init("drifts", .array(state.drifts.map(JSONValue.double))),
            .init("invariants_passed", .integer(state.invariantsPassed)),
            .init("invariants_failed", .integer(state.invariantsFailed)),
        ])
    }

    private static func document(of training: TaskTrainer) -> JSONValue {
        let position = training.position
        return .object([
            .init("task", .integer(training.task)), .init("epoch", .integer(position.epoch)),
            .init("step", .integer(position.step)), .init("total", .integer(position.total)),
            .init("loss_sums", .array(position.lossSums.map(JSONValue.double))),
            .init("samples", .integer(position.samples)),
            .init("updates", .array(position.updates.map(JSONValue.integer))),
            .init("optimizer_steps", .array(training.optimizer.state.steps.map(JSONValue.integer))),
        ])
    }

    /// SHA-256 over names and bytes of slots, head and gate: equal states have equal hashes.
    static func hash(_ state: RunState) throws -> String {
        var hasher = SHA256Hasher()
        for view in try tensors(of: state) {
            hasher.update(view.name + "\n")
            hasher.update(view.bytes)
        }
        return hasher.finish().hex
    }

    /// SHA-256 of one slot's numbers.
    static func hash(_ slot: LoRASlot<Float>) -> String {
        var hasher = SHA256Hasher()
        hasher.update(UnsafeRawBufferPointer(UnsafeMutableBufferPointer(rebasing: slot.values[0..<slot.count])))
        return hasher.finish().hex
    }
}

/// A checkpoint that was opened.
struct LoadedCheckpoint {
    let path: String
    let header: JSONValue
    private let file: SafetensorsFile
    private var unused: Set<String>

    /// - Throws: `safetensors.*`, `io.*`, `data.malformed` for a file that is no checkpoint.
    init(path: String) throws {
        self.path = path
        file = try SafetensorsFile(path: path)
        guard file.metadata["format"] == "lorabank.cil/1", let text = file.metadata["state"] else {
            throw Failure(.dataMalformed, "the file is no checkpoint of a continual run", path: path)
        }
        let rules = StrictJSON.Rules(
            maximumDepth: 32, maximumBytes: 256 << 20, tooLarge: .ioTooLarge, notUTF8: .dataMalformed,
            notJSON: .dataMalformed, tooDeep: .dataMalformed, duplicateKey: .dataMalformed)
        header = try StrictJSON.parse(text, rules, path: path)
        unused = Set(file.names)
    }

    var kind: Checkpoint.Kind? { header["kind"]?.string.flatMap(Checkpoint.Kind.init) }
    var finished: Int { header["state"]?["finished"]?.integer ?? 0 }
    var training: JSONValue? { header["training"] }

    private func malformed(_ message: String, _ place: String) -> Failure {
        Failure(
            .dataMalformed, message, path: path, place: place,
            hint: "checkpoints belong to one configuration and one program version")
    }

    private mutating func floats(_ name: String, _ shape: [Int]) throws -> [Float] {
        guard let view = file.view(name) else { throw malformed("the checkpoint lacks a tensor", name) }
        guard view.shape == shape, view.dtype == .f32 else {
            throw malformed("the tensor is \(view.shape), expected \(shape)", name)
        }
        unused.remove(name)
        return [Float](unsafeUninitializedCapacity: view.count) { buffer, count in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: view.bytes)
            count = view.count
        }
    }

    private mutating func matrix(_ name: String) throws -> Matrix<Double> {
        guard let view = file.view(name), view.shape.count == 2, view.dtype == .f64 else {
            throw malformed("the checkpoint lacks a tensor", name)
        }
        unused.remove(name)
        return try view.doubleMatrix(rows: view.shape[0], columns: view.shape[1])
    }

    /// Puts everything into a fresh state. Strict: a missing, extra or wrongly shaped tensor is an error that names it.
    mutating func restore(_ state: RunState) throws {
        guard let document = header["state"] else { throw malformed("the checkpoint has no state", "state") }
        let memory = state.memory
        try restoreSlowShape(memory, scales: document["scales"])
        for name in memory.names {
            guard let slot = memory[name] else { continue }
            for pair in slot.pairs {
                let a = try floats("slot/\(name)/\(pair.site)/A", [pair.rank, pair.inputs])
                let b = try floats("slot/\(name)/\(pair.site)/B", [pair.outputs, pair.rank])
                _ = slot.a(pair).update(fromContentsOf: a)
                _ = slot.b(pair).update(fromContentsOf: b)
            }
        }
        let rows = state.head.rows
        _ = rows.weights.update(fromContentsOf: try floats("head/weights", [rows.count, rows.width]))
        _ = rows.bias.update(fromContentsOf: try floats("head/bias", [rows.count]))
        for name in unused.sorted() where name.hasPrefix("carried/") {
            guard let slot = SlotName(String(name.dropFirst(8))), let count = file.view(name)?.count else { continue }
            state.carried[slot] = try floats(name, [count])
        }
        if unused.contains("gate/weights") { state.gate = try gate(width: rows.width) }
        try restoreNumbers(state, document)
        if training == nil, let stray = unused.min() { throw malformed("the checkpoint has a tensor too many", stray) }
    }

    /// The ranks of slow follow what was stored (`grow`).
    private mutating func restoreSlowShape(_ memory: AdapterMemory, scales: JSONValue?) throws {
        guard memory.configuration.structure.hasSlow, memory.configuration.slow.storage != .factors else { return }
        let scale = scales?["slow"]?.double ?? 1
        try memory.replaceSlow(
            ranks: memory.sites.compactMap { site in
                file.view("slot/slow/\(site)/A")?.shape.first.map { (site, $0, scale) }
            })
    }

    private mutating func gate(width: Int) throws -> SlotGate {
        let weights = try matrix("gate/weights")
        let table = try matrix("gate/means")
        guard weights.columns == width + 1, table.rows == 0 || table.columns == width + 2,
            (0..<table.rows).allSatisfy({ (0..<Double(weights.rows)).contains(table[$0, 0]) })
        else { throw malformed("the gate does not fit the configuration", "gate/means") }
        let means = (0..<table.rows).map { row in
            SlotGate.Mean(
                slot: Int(table[row, 0]), count: table[row, 1], feature: (0..<width).map { table[row, $0 + 2] })
        }
        return SlotGate(width: width, slots: weights.rows, weights: weights, means: means)
    }

    private func restoreNumbers(_ state: RunState, _ document: JSONValue) throws {
        let memory = state.memory
        guard let trained = document["trained"]?.array?.compactMap(\.bool), trained.count == memory.fast.count,
            let trainedOn = document["trained_on"]?.array?.compactMap(\.integer),
            trainedOn.count == state.trainedOn.count, let finished = document["finished"]?.integer, finished >= 0,
            let averages = document["loss_average"]?.array?.map(\.double), averages.count == memory.fast.count,
            document["last_trained"]?.integer.map({ memory.fast.indices.contains($0) }) ?? true
        else { throw malformed("the state does not fit the configuration", "state") }
        memory.isTrained = trained
        memory.lossAverage = averages
        memory.lastTrained = document["last_trained"]?.integer
        state.finished = finished
        state.trainedOn = trainedOn
        state.cascades = document["cascades"]?.integer ?? 0
        func numbers(_ key: String) -> [Double] { document[key]?.array?.compactMap(\.double) ?? [] }
        state.validationRows = document["validation"]?.array?.map { $0.array?.compactMap(\.double) ?? [] } ?? []
        state.transferBefore = numbers("transfer_before")
        state.transferUntouched = numbers("transfer_untouched")
        state.drifts = numbers("drifts")
        state.invariantsPassed = document["invariants_passed"]?.integer ?? 0
        state.invariantsFailed = document["invariants_failed"]?.integer ?? 0
    }

    /// Puts a trainer back to the step at which the checkpoint was written.
    mutating func restore(_ trainer: TaskTrainer) throws {
        guard let training, let steps = training["optimizer_steps"]?.array?.compactMap(\.integer),
            let updates = training["updates"]?.array?.compactMap(\.integer),
            let lossSums = training["loss_sums"]?.array?.compactMap(\.double)
        else { throw malformed("the checkpoint has no training state", "training") }
        let shape = trainer.optimizer.state
        var optimizer = shape
        optimizer.steps = steps
        for index in shape.first.indices {
            optimizer.first[index] = try floats("optimizer/\(index)/first", [shape.first[index].count])
            optimizer.second[index] = try floats("optimizer/\(index)/second", [shape.second[index].count])
        }
        for (lane, rows) in trainer.laneRows.enumerated() {
            _ = rows.weights.update(fromContentsOf: try floats("lane/\(lane)/weights", [rows.count, rows.width]))
            _ = rows.bias.update(fromContentsOf: try floats("lane/\(lane)/bias", [rows.count]))
        }
        var pending: [SlotName: [Float]] = [:]
        for (name, sums) in trainer.pending { pending[name] = try floats("pending/\(name)", [sums.count]) }
        let position = TrainingPosition(
            epoch: training["epoch"]?.integer ?? -1, step: training["step"]?.integer ?? -1,
            total: training["total"]?.integer ?? -1, lossSums: lossSums, samples: training["samples"]?.integer ?? -1,
            updates: updates)
        guard training["task"]?.integer == trainer.task, position.epoch >= 0, position.step >= 0,
            position.step <= trainer.stepsPerEpoch, position.samples >= 0,
            position.total == position.epoch * trainer.stepsPerEpoch + position.step,
            lossSums.count == trainer.position.lossSums.count
        else { throw malformed("the training state does not fit the configuration", "training") }
        guard trainer.restore(position, optimizer: optimizer, pending: pending) else {
            throw malformed("the training state does not fit the configuration", "training")
        }
        if let stray = unused.min() { throw malformed("the checkpoint has a tensor too many", stray) }
    }
}

/// Statistics of heads, in a file of their own: they are large, and only the latest are needed.
enum StatisticsFile {
    static func write(_ heads: [HeadKind: StatisticsHead], to path: String) throws {
        var tensors: [TensorView] = []
        for (kind, head) in heads.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            for (name, matrix) in head.state.sorted(by: { $0.key < $1.key }) {
                tensors.append(try Checkpoint.tensor("\(kind.rawValue)/\(name)", matrix))
            }
        }
        try SafetensorsWriter.write(tensors, metadata: ["format": "lorabank.cil/1"], to: path, overwrite: true)
    }

    static func restore(_ heads: inout [HeadKind: StatisticsHead], from path: String) throws {
        let file = try SafetensorsFile(path: path)
        for kind in heads.keys {
            var state: [String: Matrix<Double>] = [:]
            for view in file.tensors where view.name.hasPrefix(kind.rawValue + "/") && view.shape.count == 2 {
                state[String(view.name.dropFirst(kind.rawValue.count + 1))] = try view.doubleMatrix(
                    rows: view.shape[0], columns: view.shape[1])
            }
            try heads[kind]?.restore(state)
        }
    }
}
