/// Relative thresholds below which a singular value counts as zero.
public enum RankTolerance {
    /// For matrices whose numbers came from files in single precision or narrower.
    public static let fromFiles = 1e-6
    /// For genuine double precision inputs.
    public static let double = 1e-9
    /// For the directions that a polar factor keeps.
    public static let polar = 1e-9
}

/// Number of singular values above `max(relative · σ₀, absolute)`; `sigma` is in descending order.
public func numericalRank<S: BLASScalar>(
    _ sigma: [S], relative: Double = RankTolerance.fromFiles, absolute: Double = 0
) -> Int {
    guard let first = sigma.first else { return 0 }
    let threshold = max(relative * Double(first), absolute)
    return sigma.firstIndex { !(Double($0) > threshold) } ?? sigma.count
}
