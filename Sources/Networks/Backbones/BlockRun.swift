/// Sums over rows that one thread at a time adds to: gradients of adapters, of the backbone's own weights, of
/// constant coefficients.
final class Accumulator<S: NetworkScalar>: @unchecked Sendable {
    let adapters: UnsafeMutableBufferPointer<S>
    let parameters: UnsafeMutableBufferPointer<S>
    let coefficients: UnsafeMutableBufferPointer<S>

    init(adapters: Int, parameters: Int, coefficients: Int) {
        func zeros(_ count: Int) -> UnsafeMutableBufferPointer<S> {
            let buffer = UnsafeMutableBufferPointer<S>.allocate(capacity: count)
            buffer.initialize(repeating: 0)
            return buffer
        }
        self.adapters = zeros(adapters)
        self.parameters = zeros(parameters)
        self.coefficients = zeros(coefficients)
    }

    deinit {
        adapters.deallocate()
        parameters.deallocate()
        coefficients.deallocate()
    }
}

/// What one pass over a batch asks for; shared by all its blocks.
struct PassPlan<S: NetworkScalar>: Sendable {
    var mix: AdapterMix<S>?
    var coefficients: Coefficients<S> = .constant([])
    /// Gradients of the coefficients are wanted; always true for routed ones in a recorded pass.
    var learnsCoefficients = false
    /// Gradients of the backbone's own weights are wanted.
    var learnsParameters = false
    /// Layers from here on keep what backward needs; nil: none does.
    var recordFrom: Int?
    /// The lowest linear in layer `recordFrom` whose gradient is wanted; below it backward stops.
    var lowestGroup = 0
    var firstLayer = 0
    var endLayer = 0
    /// Layers that are recorded keep their input alone.
    var checkpoints = false

    var router: (any SiteRouter<S>)? {
        if case .routed(let router) = coefficients { router } else { nil }
    }
}

/// One block of samples on its way through the layers: its memory, its adapters, what backward will need.
final class BlockRun<S: NetworkScalar>: @unchecked Sendable {
    /// What a group's forward left for its backward.
    private struct GroupTape {
        var input: UnsafePointer<S>?
        var stride = 0
        var h: UnsafeMutablePointer<S>?
        var coefficients: RowCoefficients<S>?
    }

    let plan: PassPlan<S>
    let workspace: Workspace<S>
    let block: RowBlock
    let backbone: BackboneDescription
    let accumulatorIndex: Int
    /// Set when tokens are generated: what went before this block's rows.
    var decoder: DecoderState<S>?
    /// Set before backward.
    var accumulator: Accumulator<S>?
    /// ∂L/∂w [rows, slots] of given coefficients, summed over all linears.
    private(set) var coefficientGradient: UnsafeMutablePointer<S>?
    private var tapes: [GroupTape]
    private var pointers: [UnsafeMutablePointer<S>?]
    private var given: RowCoefficients<S>?
    /// Slots with a coefficient other than 0 in this block; nil: all.
    private var active: [Bool]?

    static var keysPerLayer: Int { 16 }
    /// Key under which every layer notes its input.
    static var inputKey: Int { 0 }

    init(
        plan: PassPlan<S>, block: RowBlock, workspace: Workspace<S>, backbone: BackboneDescription,
        accumulatorIndex: Int
    ) {
        self.plan = plan
        self.block = block
        self.workspace = workspace
        self.backbone = backbone
        self.accumulatorIndex = accumulatorIndex
        let recorded = plan.recordFrom != nil
        tapes = Array(repeating: GroupTape(), count: recorded ? backbone.depth * backbone.groups.count : 0)
        pointers = Array(repeating: nil, count: recorded ? (backbone.depth + 1) * Self.keysPerLayer : 0)
        prepareCoefficients()
    }

    var tape: Arena<S> { workspace.tape }
    var scratch: Arena<S> { workspace.scratch }
    var rows: Int { block.count }
    var samples: Int { block.samples.count }

    /// True when this layer keeps what its backward needs.
    func records(_ layer: Int) -> Bool { plan.recordFrom.map { layer >= $0 } ?? false }

    /// True when the gradient at the input of this group is wanted by something below it.
    func flows(below layer: Int, group: Int) -> Bool {
        guard let first = plan.recordFrom else { return false }
        return plan.learnsParameters || layer > first || group > plan.lowestGroup
    }

    /// True when backward reads the group's input: factors, routers or weights are learned there.
    func needsInput(_ layer: Int, _ group: Int) -> Bool {
        guard records(layer) else { return false }
        if plan.learnsParameters { return true }
        guard let packed = plan.mix?.group(layer: layer, group) else { return false }
        return packed.isTrained || plan.router != nil
    }

    /// Memory for `count` numbers that backward of `layer` will find under `key`; scratch when nothing is kept.
    func keep(_ count: Int, _ layer: Int, _ key: Int, if wanted: Bool = true) -> UnsafeMutablePointer<S> {
        guard records(layer), wanted else { return scratch.take(count) }
        let p = tape.take(count)
        pointers[layer * Self.keysPerLayer + key] = p
        return p
    }

    /// Remembers memory that lives longer than the layer anyway.
    func note(_ p: UnsafeMutablePointer<S>, _ layer: Int, _ key: Int) {
        if records(layer) { pointers[layer * Self.keysPerLayer + key] = p }
    }

    /// What `keep` or `note` left.
    func kept(_ layer: Int, _ key: Int) -> UnsafeMutablePointer<S> {
        guard let p = pointers[layer * Self.keysPerLayer + key] else {
            preconditionFailure("layer \(layer) kept nothing under \(key)")
        }
        return p
    }

    var parameterGradient: UnsafeMutablePointer<S>? {
        plan.learnsParameters ? accumulator?.parameters.baseAddress : nil
    }
}

// MARK: - Coefficients

extension BlockRun {
    /// Spreads coefficients that are given from outside over the rows of the block.
    private func prepareCoefficients() {
        guard let mix = plan.mix else { return }
        let slots = mix.slots.count
        switch plan.coefficients {
        case .routed: return
        case .constant(let values):
            let p = tape.take(max(1, slots))
            for slot in 0..<slots { p[slot] = values[slot] }
            given = RowCoefficients(pointer: UnsafePointer(p), stride: 0)
            active = values.map { $0 != 0 }
        case .perSample(let table):
            let p = tape.take(max(1, rows * slots))
            for sample in 0..<samples {
                for row in block.offsets[sample]..<block.offsets[sample + 1] {
                    for slot in 0..<slots {
                        p[row * slots + slot] = table[(block.samples.lowerBound + sample) * slots + slot]
                    }
                }
            }
            setActive(p, slots)
        case .perRow(let table):
            let p = tape.take(max(1, rows * slots))
            for i in 0..<rows * slots { p[i] = table[block.rows.lowerBound * slots + i] }
            setActive(p, slots)
        }
        if plan.learnsCoefficients { coefficientGradient = tape.takeZeros(max(1, rows * slots)) }
    }

    private func setActive(_ table: UnsafeMutablePointer<S>, _ slots: Int) {
        given = RowCoefficients(pointer: UnsafePointer(table), stride: slots)
        var found = Array(repeating: false, count: slots)
        for row in 0..<rows {
            for slot in 0..<slots where table[row * slots + slot] != 0 { found[slot] = true }
        }
        active = found
    }

    private func isActive(_ slot: Int?) -> Bool {
        guard let slot, let active else { return true }
        // Learned coefficients need every slot's product, those with coefficient 0 too.
        return active[slot] || plan.learnsCoefficients
    }

    private func routed(_ x: UnsafePointer<S>, stride: Int, width: Int, columns: Int) -> RoutedRows<S> {
        RoutedRows(
            input: x, stride: stride, width: width, count: rows, columns: columns, firstRow: block.rows.lowerBound,
            firstSample: block.samples.lowerBound, offsets: block.offsets, accumulator: accumulatorIndex,
            isRecorded: plan.recordFrom != nil)
    }

    /// Tells a layer-wide router what the layer reads.
    func enter(_ layer: Int, _ x: UnsafePointer<S>) {
        plan.router?.enter(
            layer: layer, rows: routed(x, stride: backbone.width, width: backbone.width, columns: 0))
    }

    /// Lets a layer-wide router add to the gradient at the layer's input.
    func leaveLayer(_ layer: Int, gradient: UnsafeMutablePointer<S>) {
        let x = kept(layer, Self.inputKey)
        plan.router?.leave(
            layer: layer, rows: routed(x, stride: backbone.width, width: backbone.width, columns: 0),
            inputGradient: flows(below: layer, group: 0) ? gradient : nil)
    }
}

// MARK: - Adapted linears

extension BlockRun {
    /// y := (or +=) x·Wᵀ + b + Σ_e s_e·w_e·(x·A_eᵀ)·B_eᵀ for the rows of the block.
    func linear(
        _ layer: Int, _ group: Int, _ linear: Linear<S>, _ x: UnsafePointer<S>, stride: Int? = nil,
        into y: UnsafeMutablePointer<S>, accumulate: Bool = false
    ) {
        let stride = stride ?? linear.inputs
        linear.forward(rows: rows, x, ldx: stride, into: y, accumulate: accumulate)
        let recorded = records(layer)
        let place = layer * backbone.groups.count + group
        if recorded { tapes[place] = GroupTape(input: x, stride: stride) }
        guard let mix = plan.mix, let packed = mix.group(layer: layer, group) else { return }
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        if mix.plan == .gather, !recorded {
            addGathered(
                packed, x, stride: stride, coefficients: coefficients(packed, mix, x, stride: stride, arena: scratch),
                into: y, outputs: linear.outputs)
            return
        }
        let arena = recorded ? tape : scratch
        let h = arena.take(rows * packed.rank)
        for part in packed.inputParts where isActive(part.slot) {
            part.a.multiply(rows: rows, x, ldx: stride, into: h + part.columns.lowerBound, ldy: packed.rank)
        }
        let coefficients = coefficients(packed, mix, x, stride: stride, arena: arena)
        if mix.plan == .hybrid, !recorded {
            addHybrid(packed, h, coefficients: coefficients, into: y, outputs: linear.outputs)
            return
        }
        let scaled = scratch.take(rows * packed.rank)
        clearInactive(packed, h)
        packed.runs.withUnsafeBufferPointer {
            scaleRuns(
                rows: rows, rank: packed.rank, h, runs: $0, coefficients: coefficients.pointer,
                stride: coefficients.stride, into: scaled)
        }
        for part in packed.parts where isActive(part.slot) {
            part.b.multiply(
                rows: rows, scaled + part.columns.lowerBound, ldx: packed.rank, into: y + part.span.lowerBound,
                ldy: linear.outputs, accumulate: true)
        }
        if recorded { tapes[place].h = h }
        if recorded { tapes[place].coefficients = coefficients }
    }

    private func coefficients(
        _ packed: PackedGroup<S>, _ mix: AdapterMix<S>, _ x: UnsafePointer<S>, stride: Int, arena: Arena<S>
    ) -> RowCoefficients<S> {
        if let given { return given }
        let columns = mix.coefficientColumns(backbone.groups[packed.point.group])
        let w = arena.take(rows * columns)
        plan.router?.coefficients(
            at: packed.point, rows: routed(x, stride: stride, width: packed.point.inputs, columns: columns), into: w)
        return RowCoefficients(pointer: UnsafePointer(w), stride: columns)
    }

    /// Columns of slots that sit out hold zeros.
    private func clearInactive(_ packed: PackedGroup<S>, _ h: UnsafeMutablePointer<S>) {
        for part in packed.inputParts where !isActive(part.slot) {
            for row in 0..<rows {
                (h + row * packed.rank + part.columns.lowerBound).update(repeating: 0, count: part.columns.count)
            }
        }
    }

    /// Gradients at a linear from dy: of factors, coefficients and weights where they are learned, and
    /// dx := dy·W + Σ_e (s_e·w_e ⊙ dy·B_e)·A_e when `dx` is given.
    func linearBackward(
        _ layer: Int, _ group: Int, _ linear: Linear<S>, dy: UnsafePointer<S>, dx: UnsafeMutablePointer<S>?
    ) {
        if let dx { linear.backward(rows: rows, dy: dy, dx: dx) }
        let saved = tapes[layer * backbone.groups.count + group]
        if let gradient = parameterGradient, let x = saved.input {
            linear.accumulateGradient(rows: rows, x, ldx: saved.stride, dy: dy, into: gradient)
        }
        guard let mix = plan.mix, let packed = mix.group(layer: layer, group), let h = saved.h,
            let coefficients = saved.coefficients
        else { return }
        let learns = plan.learnsCoefficients || plan.router != nil
        if !packed.isTrained, !learns, dx == nil { return }
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        let slope = scratch.take(rows * packed.rank)
        for part in packed.parts {
            if isActive(part.slot) {
                part.bTransposed.multiply(
                    rows: rows, dy + part.span.lowerBound, ldx: linear.outputs, into: slope + part.columns.lowerBound,
                    ldy: packed.rank)
            }
        }
        clearInactive(packed, slope)
        if learns { learnCoefficients(mix, packed, saved, h, slope, coefficients, dx) }
        let scaled = scratch.take(rows * packed.rank)
        packed.runs.withUnsafeBufferPointer { runs in
            if packed.isTrained {
                scaleRuns(
                    rows: rows, rank: packed.rank, h, runs: runs, coefficients: coefficients.pointer,
                    stride: coefficients.stride, into: scaled)
                accumulateB(packed, scaled, dy: dy, stride: linear.outputs)
            }
            scaleRuns(
                rows: rows, rank: packed.rank, slope, runs: runs, coefficients: coefficients.pointer,
                stride: coefficients.stride, into: scaled)
        }
        if packed.isTrained, let x = saved.input { accumulateA(packed, scaled, x, stride: saved.stride) }
        guard let dx else { return }
        for part in packed.inputParts where isActive(part.slot) {
            part.aTransposed.multiply(
                rows: rows, scaled + part.columns.lowerBound, ldx: packed.rank, into: dx, ldy: linear.inputs,
                accumulate: true)
        }
    }

    /// dB [span, trained] += dyᵀ·Hs.
    private func accumulateB(_ packed: PackedGroup<S>, _ scaled: UnsafePointer<S>, dy: UnsafePointer<S>, stride: Int) {
        guard let gradient = accumulator?.adapters.baseAddress else { return }
        for part in packed.parts where part.trained > 0 && isActive(part.slot) {
            S.multiply(
                transposeA: true, m: part.span.count, n: part.trained, k: rows, a: dy + part.span.lowerBound,
                lda: stride, b: scaled + part.columns.lowerBound, ldb: packed.rank, accumulate: true,
                c: gradient + part.gradientB, ldc: part.trained)
        }
    }

    /// dA [trained, inputs] += dHᵀ·x.
    private func accumulateA(
        _ packed: PackedGroup<S>, _ slope: UnsafePointer<S>, _ x: UnsafePointer<S>, stride: Int
    ) {
        guard let gradient = accumulator?.adapters.baseAddress else { return }
        let inputs = packed.point.inputs
        for part in packed.parts where part.trained > 0 && isActive(part.slot) {
            S.multiply(
                transposeA: true, m: part.trained, n: inputs, k: rows, a: slope + part.columns.lowerBound,
                lda: packed.rank, b: x, ldb: stride, accumulate: true, c: gradient + part.gradientA, ldc: inputs)
        }
    }

    private func learnCoefficients(
        _ mix: AdapterMix<S>, _ packed: PackedGroup<S>, _ saved: GroupTape, _ h: UnsafePointer<S>,
        _ slope: UnsafePointer<S>, _ coefficients: RowCoefficients<S>, _ dx: UnsafeMutablePointer<S>?
    ) {
        if let router = plan.router, let x = saved.input {
            let columns = coefficients.stride
            let gradient = scratch.takeZeros(rows * columns)
            packed.runs.withUnsafeBufferPointer {
                addCoefficientGradient(
                    rows: rows, rank: packed.rank, h, slope, runs: $0, columns: columns, into: gradient)
            }
            router.backward(
                at: packed.point, rows: routed(x, stride: saved.stride, width: packed.point.inputs, columns: columns),
                weights: coefficients.pointer, weightGradient: gradient, inputGradient: dx)
        } else if let coefficientGradient {
            packed.runs.withUnsafeBufferPointer {
                addCoefficientGradient(
                    rows: rows, rank: packed.rank, h, slope, runs: $0, columns: mix.slots.count,
                    into: coefficientGradient)
            }
        }
    }
}
