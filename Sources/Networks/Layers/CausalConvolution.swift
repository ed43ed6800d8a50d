/// c_t = Σ_j w_j ⊙ x_{t−(k−1)+j} + b: a causal depthwise convolution over the rows of one sample, x_{<0} = 0.
///
/// `taps` holds w transposed, [k, width], so that channels lie side by side.
@_specialize(where S == Float)
@_specialize(where S == Double)
func causalConvolutionForward<S: NetworkScalar>(
    length: Int, width: Int, taps: UnsafePointer<S>, tapCount: Int, bias: UnsafePointer<S>?, _ x: UnsafePointer<S>,
    ldx: Int, into c: UnsafeMutablePointer<S>
) {
    for t in 0..<length {
        let target = c + t * width
        if let bias { target.update(from: bias, count: width) } else { target.update(repeating: 0, count: width) }
        for j in max(0, tapCount - 1 - t)..<tapCount {
            let w = taps + j * width
            let line = x + (t - (tapCount - 1) + j) * ldx
            for i in 0..<width { target[i] = target[i] + w[i] * line[i] }
        }
    }
}

/// dx_t = Σ_j w_j ⊙ dc_{t+(k−1)−j}; terms past the end are dropped.
@_specialize(where S == Float)
@_specialize(where S == Double)
func causalConvolutionBackward<S: NetworkScalar>(
    length: Int, width: Int, taps: UnsafePointer<S>, tapCount: Int, dc: UnsafePointer<S>,
    dx: UnsafeMutablePointer<S>, lddx: Int
) {
    for t in 0..<length {
        let target = dx + t * lddx
        target.update(repeating: 0, count: width)
        for j in 0..<tapCount {
            let source = t + (tapCount - 1) - j
            if source >= length { continue }
            let w = taps + j * width
            let line = dc + source * width
            for i in 0..<width { target[i] = target[i] + w[i] * line[i] }
        }
    }
}
