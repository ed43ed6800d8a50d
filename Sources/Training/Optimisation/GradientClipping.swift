import Networks

/// Limits the length of gradients.
public enum GradientClipping {
    /// Scales all groups' gradients together so that their global Euclidean norm is at most `limit`.
    ///
    /// - Returns: the norm before, summed in double precision.
    @discardableResult
    public static func clip<S: NetworkScalar>(_ groups: [ParameterGroup<S>], to limit: Double) -> Double {
        var sum = 0.0
        for group in groups {
            for value in group.gradient { sum += Double(value) * Double(value) }
        }
        let norm = sum.squareRoot()
        guard norm > limit, norm > 0 else { return norm }
        let factor = S(limit / norm)
        for group in groups {
            for i in group.gradient.indices { group.gradient[i] *= factor }
        }
        return norm
    }
}
