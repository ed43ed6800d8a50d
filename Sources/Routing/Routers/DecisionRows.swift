import Networks

/// What a router reads: a linear's rows as they are, their mean per sample, or the mean of the rows so far.
struct DecisionRows {
    enum Form {
        /// One decision per row.
        case tokens
        /// One decision per sample, from the mean of its rows.
        case means
        /// One decision per row, from the mean of the sample's rows up to it.
        case prefixes
    }

    let form: Form
    let width: Int
    /// Where each sample's decisions begin, and the end.
    let offsets: [Int]
    /// [decisions, width], before the norm.
    var values: [Double]
    /// Rows of each sample.
    private let lengths: [Int]

    var count: Int { offsets.last ?? 0 }

    static func form(_ model: RouterModel) -> Form {
        if model.options.granularity == .token { return .tokens }
        return model.isCausal ? .prefixes : .means
    }

    /// - Parameter carry: sum and number of the rows that a decoder read before, for prefixes; updated.
    init<S: NetworkScalar>(_ form: Form, _ rows: RoutedRows<S>, carry: inout RowSum?) {
        self.form = form
        width = rows.width
        lengths = zip(rows.offsets, rows.offsets.dropFirst()).map { $1 - $0 }
        offsets = form == .means ? Array(0...lengths.count) : rows.offsets
        values = Array(repeating: 0, count: (offsets.last ?? 0) * rows.width)
        let (width, offsets) = (rows.width, rows.offsets)
        var kept = carry
        values.withUnsafeMutableBufferPointer { buffer in
            guard let target = buffer.baseAddress else { return }
            switch form {
            case .tokens:
                for row in 0..<rows.count { addRow(width, rows.input + row * rows.stride, to: target + row * width) }
            case .means:
                for sample in 0..<lengths.count {
                    let sum = target + sample * width
                    for row in offsets[sample]..<offsets[sample + 1] {
                        addRow(width, rows.input + row * rows.stride, to: sum)
                    }
                    for i in 0..<width { sum[i] /= Double(max(1, lengths[sample])) }
                }
            case .prefixes:
                for sample in 0..<lengths.count {
                    var sum = kept ?? RowSum(width: width)
                    for row in offsets[sample]..<offsets[sample + 1] {
                        sum.values.withUnsafeMutableBufferPointer {
                            if let base = $0.baseAddress { addRow(width, rows.input + row * rows.stride, to: base) }
                        }
                        sum.count += 1
                        for i in 0..<width { target[row * width + i] = sum.values[i] / Double(sum.count) }
                    }
                    if kept != nil { kept = sum }
                }
            }
        }
        carry = kept
    }

    /// Adds ∂L/∂(decision rows) to the gradient at the linear's input.
    func spread<S: NetworkScalar>(_ gradient: UnsafePointer<Double>, to target: UnsafeMutablePointer<S>) {
        switch form {
        case .tokens: for row in 0..<count { addBack(width, 1, gradient + row * width, to: target + row * width) }
        case .means:
            var row = 0
            for (sample, length) in lengths.enumerated() {
                for _ in 0..<length {
                    addBack(width, 1 / Double(length), gradient + sample * width, to: target + row * width)
                    row += 1
                }
            }
        case .prefixes:
            var first = 0
            for length in lengths {
                var sum = [Double](repeating: 0, count: width)
                for place in (0..<length).reversed() {
                    let line = gradient + (first + place) * width
                    for i in 0..<width { sum[i] += line[i] / Double(place + 1) }
                    sum.withUnsafeBufferPointer {
                        if let base = $0.baseAddress { addBack(width, 1, base, to: target + (first + place) * width) }
                    }
                }
                first += length
            }
        }
    }

    /// Σ over a decision's rows of what was given per row, [rows, columns] → [decisions, columns].
    func gathered(_ columns: Int, _ perRow: (_ row: Int, _ column: Int) -> Double) -> [Double] {
        var result = [Double](repeating: 0, count: count * columns)
        var row = 0
        for (sample, length) in lengths.enumerated() {
            for _ in 0..<length {
                let decision = form == .means ? sample : row
                for column in 0..<columns { result[decision * columns + column] += perRow(row, column) }
                row += 1
            }
        }
        return result
    }

    /// The decision that each row follows.
    var decisionOfRow: [Int] {
        guard form == .means else { return Array(0..<count) }
        return lengths.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) }
    }

    /// The sample of each decision.
    var sampleOfDecision: [Int] {
        zip(offsets, offsets.dropFirst()).enumerated().flatMap { sample, range in
            Array(repeating: sample, count: range.1 - range.0)
        }
    }
}

/// Sum of the rows that a decoder has read.
struct RowSum: Sendable {
    var values: [Double]
    var count = 0

    init(width: Int) { values = Array(repeating: 0, count: width) }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func addRow<S: NetworkScalar>(_ count: Int, _ x: UnsafePointer<S>, to y: UnsafeMutablePointer<Double>) {
    for i in 0..<count { y[i] += Double(x[i]) }
}

@_specialize(where S == Float)
@_specialize(where S == Double)
private func addBack<S: NetworkScalar>(
    _ count: Int, _ factor: Double, _ x: UnsafePointer<Double>, to y: UnsafeMutablePointer<S>
) {
    for i in 0..<count { y[i] = y[i] + S(factor * x[i]) }
}
