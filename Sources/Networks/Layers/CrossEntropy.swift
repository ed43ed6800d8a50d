import Foundation

/// Softmax cross-entropy over the classes that a mask admits.
public enum CrossEntropy {
    /// Loss of each row; masked classes have probability 0 and gradient exactly 0.
    ///
    /// - Parameters:
    ///   - logits: [rows, classes], row-major.
    ///   - labels: class of each row; it must be admitted.
    ///   - mask: admitted classes, for all rows ([classes]) or for each ([rows, classes]); nil: all.
    ///   - scale: what the gradient is multiplied by, e.g. 1 / batch size for the mean loss.
    ///   - gradient: receives scale · (softmax − one-hot), [rows, classes]; may be the logits themselves.
    ///   - losses: receives the loss −ln p(label) of each row.
    public static func rows<S: NetworkScalar>(
        _ rows: Int, classes: Int, logits: UnsafePointer<S>, labels: (Int) -> Int, mask: [Bool]? = nil, scale: S = 1,
        gradient: UnsafeMutablePointer<S>?, losses: UnsafeMutablePointer<S>
    ) {
        for row in 0..<rows {
            let line = logits + row * classes
            let first = (mask?.count ?? 0) > classes ? row * classes : 0
            let admitted: (Int) -> Bool = { mask?[first + $0] ?? true }
            losses[row] = crossEntropyRow(
                classes: classes, line, label: labels(row), admitted: mask == nil ? nil : admitted, scale: scale,
                gradient: gradient.map { $0 + row * classes })
        }
    }
}

/// ln Σ exp over a row, in double precision for long rows' sake.
@_specialize(where S == Float)
@_specialize(where S == Double)
private func crossEntropyRow<S: NetworkScalar>(
    classes: Int, _ logits: UnsafePointer<S>, label: Int, admitted: ((Int) -> Bool)?, scale: S,
    gradient: UnsafeMutablePointer<S>?
) -> S {
    var top = -S.infinity
    for c in 0..<classes where admitted?(c) ?? true { top = max(top, logits[c]) }
    var sum = 0.0
    let target = Double(logits[label])
    if admitted == nil {
        let centre = S.Lanes(top)
        var i = 0
        while i &+ laneCount <= classes {
            sum += Double((S.Lanes.load(logits + i) - centre).exponential.sum)
            i &+= laneCount
        }
        while i < classes {
            sum += exp(Double(logits[i] - top))
            i &+= 1
        }
    } else {
        for c in 0..<classes where admitted?(c) ?? true { sum += exp(Double(logits[c] - top)) }
    }
    let logSum = Double(top) + log(sum)
    if let gradient {
        let base = S(logSum)
        if admitted == nil {
            let centre = S.Lanes(base)
            let factor = S.Lanes(scale)
            mapLanes(classes, logits, into: gradient) { ($0 - centre).exponential * factor }
        } else {
            for c in 0..<classes {
                gradient[c] = admitted?(c) ?? true ? scale * S(exp(Double(logits[c] - base))) : 0
            }
        }
        gradient[label] = gradient[label] - scale
    }
    return S(logSum - target)
}
