/// All adapters on one linear, packed side by side: the rows of every A form one matrix, so that one product serves
/// all; every B acts on the rows (of the linear) that its site covers.
final class PackedGroup<S: NetworkScalar>: @unchecked Sendable {
    /// A pair's columns in H = x·Aᵀ, and whose it is.
    struct Member {
        let slot: Int
        let pair: LoRAPair
        let columns: Range<Int>
        let part: Int
        /// Which coefficient of a row applies.
        let coefficient: Int
    }

    /// Columns of H that go to the same rows of the linear through one product.
    struct Part {
        let columns: Range<Int>
        let span: Range<Int>
        /// The only slot inside; nil when there are several.
        let slot: Int?
        /// The first columns are trained: where their gradients begin in the mix's gradient, A then B.
        let trained: Int
        let gradientA: Int
        let gradientB: Int
        /// B [span, columns] row-major, and both packings.
        let b: PackedMatrix<S>
        let bTransposed: PackedMatrix<S>
    }

    /// Columns of H that one product with the input makes.
    struct InputPart {
        let columns: Range<Int>
        let slot: Int?
        let a: PackedMatrix<S>
        let aTransposed: PackedMatrix<S>
    }

    /// Consecutive columns with one coefficient and one scale.
    struct Run {
        let first: Int
        let count: Int
        let coefficient: Int
        let scale: S
    }

    let point: RoutingPoint
    let outputs: Int
    /// Columns of H: the sum of all ranks.
    let rank: Int
    let members: [Member]
    let parts: [Part]
    let inputParts: [InputPart]
    let runs: [Run]
    /// For plans that go row by row; nil for the others.
    let plain: PlainFactors<S>?
    var isTrained: Bool { parts.contains { $0.trained > 0 } }

    /// - Parameters:
    ///   - pairs: every pair on this linear with its slot.
    ///   - separate: one product per slot instead of one for all.
    ///   - joinsInputs: one product for all A even then.
    ///   - rowwise: factors are kept for row kernels as well.
    ///   - perSite: coefficients differ between the sites of the linear.
    ///   - gradientCount: grows by the room that trained pairs need.
    init(
        point: RoutingPoint, group: SiteGroup, pairs: [(slot: Int, pair: LoRAPair)], trainable: [Bool], slots: Int,
        separate: Bool, joinsInputs: Bool, rowwise: Bool, perSite: Bool, gradientCount: inout Int
    ) {
        self.point = point
        outputs = group.outputs
        func span(_ pair: LoRAPair) -> Range<Int> { group.spans[pair.site.kind] ?? 0..<0 }
        let sorted = pairs.sorted { x, y in
            let a = (separate ? x.slot : 0, span(x.pair).lowerBound, span(x.pair).count, trainable[x.slot] ? 0 : 1)
            let b = (separate ? y.slot : 0, span(y.pair).lowerBound, span(y.pair).count, trainable[y.slot] ? 0 : 1)
            return a == b ? x.slot < y.slot : a < b
        }
        let kinds = group.kinds
        var members: [Member] = []
        var parts: [Part] = []
        var column = 0
        var index = 0
        while index < sorted.count {
            let rows = span(sorted[index].pair)
            var end = index
            while end < sorted.count, span(sorted[end].pair) == rows,
                !separate || sorted[end].slot == sorted[index].slot
            {
                end += 1
            }
            let first = column
            var trained = 0
            for (slot, pair) in sorted[index..<end] {
                let site = perSite ? (kinds.firstIndex(of: pair.site.kind) ?? 0) * slots : 0
                members.append(
                    Member(
                        slot: slot, pair: pair, columns: column..<column + pair.rank, part: parts.count,
                        coefficient: site + slot))
                column += pair.rank
                if trainable[slot] { trained += pair.rank }
            }
            parts.append(
                Part(
                    columns: first..<column, span: rows, slot: separate ? sorted[index].slot : nil, trained: trained,
                    gradientA: gradientCount, gradientB: gradientCount + trained * group.inputs,
                    b: PackedMatrix(outputs: rows.count, inputs: column - first),
                    bTransposed: PackedMatrix(outputs: column - first, inputs: rows.count)))
            gradientCount += trained * (group.inputs + rows.count)
            index = end
        }
        self.members = members
        self.parts = parts
        rank = column
        runs = members.map {
            Run(
                first: $0.columns.lowerBound, count: $0.columns.count, coefficient: $0.coefficient,
                scale: S($0.pair.scale))
        }
        plain = rowwise ? PlainFactors(members.map { ($0.pair.rank, $0.pair.inputs, $0.pair.outputs) }) : nil
        inputParts = Self.inputParts(of: parts, inputs: group.inputs, rank: column, separate: separate && !joinsInputs)
    }

    private static func inputParts(of parts: [Part], inputs: Int, rank: Int, separate: Bool) -> [InputPart] {
        func make(_ columns: Range<Int>, _ slot: Int?) -> InputPart {
            InputPart(
                columns: columns, slot: slot, a: PackedMatrix(outputs: columns.count, inputs: inputs),
                aTransposed: PackedMatrix(outputs: inputs, inputs: columns.count))
        }
        guard separate else { return [make(0..<rank, nil)] }
        var result: [InputPart] = []
        for part in parts {
            if let last = result.last, last.slot == part.slot {
                result[result.count - 1] = make(last.columns.lowerBound..<part.columns.upperBound, part.slot)
            } else {
                result.append(make(part.columns, part.slot))
            }
        }
        return result
    }

    /// Takes over the factors as they are now.
    func refresh(_ slots: [LoRASlot<S>]) {
        for (index, member) in members.enumerated() { plain?.refresh(index, member.pair, of: slots[member.slot]) }
        let inputs = point.inputs
        withUnsafeTemporaryAllocation(of: S.self, capacity: max(1, rank * inputs)) { buffer in
            guard let a = buffer.baseAddress else { return }
            for member in members {
                (a + member.columns.lowerBound * inputs).update(
                    from: slots[member.slot].pointer(member.pair.a.lowerBound), count: member.pair.a.count)
            }
            for part in inputParts {
                let first = a + part.columns.lowerBound * inputs
                part.a.pack(first, outputStride: inputs, inputStride: 1)
                part.aTransposed.pack(first, outputStride: 1, inputStride: inputs)
            }
        }
        for (index, part) in parts.enumerated() {
            let width = part.columns.count
            withUnsafeTemporaryAllocation(of: S.self, capacity: max(1, part.span.count * width)) { buffer in
                guard let b = buffer.baseAddress else { return }
                for member in members where member.part == index {
                    copyColumns(
                        rows: part.span.count, width: member.pair.rank,
                        from: slots[member.slot].pointer(member.pair.b.lowerBound), ldx: member.pair.rank,
                        to: b + (member.columns.lowerBound - part.columns.lowerBound), ldy: width)
                }
                part.b.pack(b, outputStride: width, inputStride: 1)
                part.bTransposed.pack(b, outputStride: 1, inputStride: width)
            }
        }
    }

    /// Adds the gradients of the trained pairs, as `accumulate` left them, to slot-shaped gradients.
    func unpack(_ gradient: UnsafePointer<S>, into slots: [UnsafeMutablePointer<S>?]) {
        for member in members {
            let part = parts[member.part]
            let column = member.columns.lowerBound - part.columns.lowerBound
            guard column < part.trained, let target = slots[member.slot] else { continue }
            addInto(
                member.pair.a.count, gradient + part.gradientA + column * point.inputs,
                target + member.pair.a.lowerBound)
            addColumns(
                rows: part.span.count, width: member.pair.rank, from: gradient + part.gradientB + column,
                ldx: part.trained, to: target + member.pair.b.lowerBound, ldy: member.pair.rank)
        }
    }
}

/// Coefficients of the rows at one linear: row t's begin at `pointer + t * stride`; stride 0 means one row for all.
struct RowCoefficients<S: NetworkScalar> {
    let pointer: UnsafePointer<S>
    let stride: Int
}

/// out := h ⊙ (scale · coefficient), column run by column run.
@_specialize(where S == Float)
@_specialize(where S == Double)
func scaleRuns<S: NetworkScalar>(
    rows: Int, rank: Int, _ h: UnsafePointer<S>, runs: UnsafeBufferPointer<PackedGroup<S>.Run>,
    coefficients: UnsafePointer<S>, stride: Int, into out: UnsafeMutablePointer<S>
) {
    for row in 0..<rows {
        let w = coefficients + row * stride
        let from = h + row * rank
        let to = out + row * rank
        for run in runs {
            let factor = run.scale * w[run.coefficient]
            for j in run.first..<run.first + run.count { to[j] = from[j] * factor }
        }
    }
}

/// ∂L/∂w [rows, columns] += scale · ⟨dHs, H⟩ over the columns of each run.
@_specialize(where S == Float)
@_specialize(where S == Double)
func addCoefficientGradient<S: NetworkScalar>(
    rows: Int, rank: Int, _ h: UnsafePointer<S>, _ slope: UnsafePointer<S>,
    runs: UnsafeBufferPointer<PackedGroup<S>.Run>, columns: Int, into gradient: UnsafeMutablePointer<S>
) {
    for row in 0..<rows {
        let a = h + row * rank
        let b = slope + row * rank
        let target = gradient + row * columns
        for run in runs {
            let sum = dotProduct(run.count, a + run.first, b + run.first)
            target[run.coefficient] = target[run.coefficient] + run.scale * sum
        }
    }
}
