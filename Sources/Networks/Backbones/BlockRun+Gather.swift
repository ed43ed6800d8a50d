/// Plans that let an expert see only the rows that use it. For passes without backward.
extension BlockRun {
    /// y += Σ_e s_e·w_e·(x·A_eᵀ)·B_eᵀ over the rows in use, row by row: the factors of one pair stay in the first cache
    /// while its rows pass by, and nothing is gathered.
    func addGathered(
        _ packed: PackedGroup<S>, _ x: UnsafePointer<S>, stride: Int, coefficients: RowCoefficients<S>,
        into y: UnsafeMutablePointer<S>, outputs: Int
    ) {
        guard let plain = packed.plain else { return }
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        let h = scratch.take(packed.rank)
        for (index, member) in packed.members.enumerated() {
            addRows(packed, member, coefficients, into: y, outputs: outputs, plain.b(index)) { row in
                projectRow(packed.point.inputs, x + row * stride, plain.a(index), rank: member.pair.rank, into: h)
                return UnsafePointer(h)
            }
        }
    }

    /// As `addGathered`, with H = x·Aᵀ [rows, rank] made for all rows and experts at once.
    func addHybrid(
        _ packed: PackedGroup<S>, _ h: UnsafePointer<S>, coefficients: RowCoefficients<S>,
        into y: UnsafeMutablePointer<S>, outputs: Int
    ) {
        guard let plain = packed.plain else { return }
        for (index, member) in packed.members.enumerated() {
            addRows(packed, member, coefficients, into: y, outputs: outputs, plain.b(index)) { row in
                h + row * packed.rank + member.columns.lowerBound
            }
        }
    }

    /// Rows in use of y += s·w·h·Bᵀ for one pair.
    ///
    /// - Parameter projected: h [rank] of a row.
    @inline(__always)
    private func addRows(
        _ packed: PackedGroup<S>, _ member: PackedGroup<S>.Member, _ coefficients: RowCoefficients<S>,
        into y: UnsafeMutablePointer<S>, outputs: Int, _ b: UnsafePointer<S>,
        _ projected: (_ row: Int) -> UnsafePointer<S>
    ) {
        let span = packed.parts[member.part].span
        let scale = S(member.pair.scale)
        for row in 0..<rows {
            let weight = coefficients.pointer[row * coefficients.stride + member.coefficient]
            if weight == 0 { continue }
            addProjected(
                span.count, projected(row), rank: member.pair.rank, factor: scale * weight, b,
                into: y + row * outputs + span.lowerBound)
        }
    }
}

/// h_j := ⟨x, A_j⟩ for the rows A_j of A [rank, count]; each sum in a fixed order.
@_specialize(where S == Float)
@_specialize(where S == Double)
func projectRow<S: NetworkScalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ a: UnsafePointer<S>, rank: Int, into h: UnsafeMutablePointer<S>
) {
    let zero: S = 0
    var j = 0
    while j &+ 4 <= rank {
        let (p, q, r, s) = (a + j * count, a + (j + 1) * count, a + (j + 2) * count, a + (j + 3) * count)
        var sums = (S.Lanes(zero), S.Lanes(zero), S.Lanes(zero), S.Lanes(zero))
        var i = 0
        while i &+ laneCount <= count {
            let lanes = S.Lanes.load(x + i)
            sums.0 = sums.0.adding(lanes, times: S.Lanes.load(p + i))
            sums.1 = sums.1.adding(lanes, times: S.Lanes.load(q + i))
            sums.2 = sums.2.adding(lanes, times: S.Lanes.load(r + i))
            sums.3 = sums.3.adding(lanes, times: S.Lanes.load(s + i))
            i &+= laneCount
        }
        var tail = (zero, zero, zero, zero)
        while i < count {
            tail.0 = tail.0 + x[i] * p[i]
            tail.1 = tail.1 + x[i] * q[i]
            tail.2 = tail.2 + x[i] * r[i]
            tail.3 = tail.3 + x[i] * s[i]
            i &+= 1
        }
        h[j] = sums.0.sum + tail.0
        h[j + 1] = sums.1.sum + tail.1
        h[j + 2] = sums.2.sum + tail.2
        h[j + 3] = sums.3.sum + tail.3
        j &+= 4
    }
    while j < rank {
        h[j] = dotProduct(count, x, a + j * count)
        j &+= 1
    }
}

/// y [count] += factor·Σ_j h_j·B_j for the rows B_j of Bᵀ [rank, count].
@_specialize(where S == Float)
@_specialize(where S == Double)
func addProjected<S: NetworkScalar>(
    _ count: Int, _ h: UnsafePointer<S>, rank: Int, factor: S, _ b: UnsafePointer<S>, into y: UnsafeMutablePointer<S>
) {
    var i = 0
    while i &+ 4 * laneCount <= count {
        var (p, q) = (S.Lanes.load(y + i), S.Lanes.load(y + i + laneCount))
        var (r, s) = (S.Lanes.load(y + i + 2 * laneCount), S.Lanes.load(y + i + 3 * laneCount))
        for j in 0..<rank {
            let lanes = S.Lanes(factor * h[j])
            let line = b + j * count + i
            p = p.adding(lanes, times: S.Lanes.load(line))
            q = q.adding(lanes, times: S.Lanes.load(line + laneCount))
            r = r.adding(lanes, times: S.Lanes.load(line + 2 * laneCount))
            s = s.adding(lanes, times: S.Lanes.load(line + 3 * laneCount))
        }
        p.store(y + i)
        q.store(y + i + laneCount)
        r.store(y + i + 2 * laneCount)
        s.store(y + i + 3 * laneCount)
        i &+= 4 * laneCount
    }
    while i < count {
        var sum = y[i]
        for j in 0..<rank { sum = sum + factor * h[j] * b[j * count + i] }
        y[i] = sum
        i &+= 1
    }
}
