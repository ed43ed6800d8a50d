/// Plans that let an expert see only the rows that use it. For passes without backward.
extension BlockRun {
    /// y += Σ_e s_e·w_e·(x·A_eᵀ)·B_eᵀ, both products over the rows in use.
    func addGathered(
        _ packed: PackedGroup<S>, _ x: UnsafePointer<S>, stride: Int, coefficients: RowCoefficients<S>,
        into y: UnsafeMutablePointer<S>, outputs: Int
    ) {
        let inputs = packed.point.inputs
        for source in packed.inputParts {
            let parts = packed.parts.indices.filter { source.columns.contains(packed.parts[$0].columns.lowerBound) }
            let members = packed.members.filter { parts.contains($0.part) }
            let used = (0..<rows).filter { row in
                members.contains { coefficients.pointer[row * coefficients.stride + $0.coefficient] != 0 }
            }
            guard !used.isEmpty else { continue }
            let mark = scratch.mark
            let width = source.columns.count
            let h = scratch.take(used.count * width)
            if used.count == rows {
                source.a.multiply(rows: rows, x, ldx: stride, into: h, ldy: width)
            } else {
                let gathered = scratch.take(used.count * inputs)
                for (place, row) in used.enumerated() {
                    (gathered + place * inputs).update(from: x + row * stride, count: inputs)
                }
                source.a.multiply(rows: used.count, gathered, ldx: inputs, into: h, ldy: width)
            }
            for member in members {
                let first = member.columns.lowerBound - source.columns.lowerBound
                scatter(packed, member, used, h + first, stride: width, coefficients, into: y, outputs: outputs)
            }
            scratch.release(to: mark)
        }
    }

    /// As `addGathered`, with H = x·Aᵀ [rows, rank] made for all rows and experts at once.
    func addHybrid(
        _ packed: PackedGroup<S>, _ h: UnsafePointer<S>, coefficients: RowCoefficients<S>,
        into y: UnsafeMutablePointer<S>, outputs: Int
    ) {
        for member in packed.members {
            let used = (0..<rows).filter {
                coefficients.pointer[$0 * coefficients.stride + member.coefficient] != 0
            }
            guard !used.isEmpty else { continue }
            let mark = scratch.mark
            let gathered = scratch.take(used.count * packed.rank)
            for (place, row) in used.enumerated() {
                (gathered + place * packed.rank).update(from: h + row * packed.rank, count: packed.rank)
            }
            scatter(
                packed, member, used, gathered + member.columns.lowerBound, stride: packed.rank, coefficients, into: y,
                outputs: outputs)
            scratch.release(to: mark)
        }
    }

    /// Rows `used` of y += (s·w ⊙ h)·Bᵀ for one pair; h begins at the pair's columns, one line per row in use.
    private func scatter(
        _ packed: PackedGroup<S>, _ member: PackedGroup<S>.Member, _ used: [Int], _ h: UnsafePointer<S>, stride: Int,
        _ coefficients: RowCoefficients<S>, into y: UnsafeMutablePointer<S>, outputs: Int
    ) {
        let part = packed.parts[member.part]
        let (width, span) = (member.columns.count, part.span.count)
        let scaled = scratch.take(used.count * width)
        let scale = S(member.pair.scale)
        for (place, row) in used.enumerated() {
            let factor = scale * coefficients.pointer[row * coefficients.stride + member.coefficient]
            for j in 0..<width { scaled[place * width + j] = h[place * stride + j] * factor }
        }
        if used.count == rows {
            part.b.multiply(
                rows: rows, scaled, ldx: width, into: y + part.span.lowerBound, ldy: outputs, accumulate: true)
            return
        }
        let product = scratch.take(used.count * span)
        part.b.multiply(rows: used.count, scaled, ldx: width, into: product, ldy: span)
        for (place, row) in used.enumerated() {
            addInto(span, product + place * span, y + row * outputs + part.span.lowerBound)
        }
    }
}
