extension MergeMethod {
    /// The methods that the program ships; adding one here is all the registration there is.
    static let standard: [MergeMethod] = [
        .cat,
        .linear,
        .taskArithmetic,
        .negate,
        .svd,
        .ties,
        .magnitudePrune,
        .tsvM,
        .isoC,
        .isoCTS,
        .pam,
        .peftLinear,
        .peftCat,
        .peftSVD,
        .peftTies,
        .peftTiesSVD,
        .peftMagnitudePrune,
        .peftMagnitudePruneSVD,
    ]
}

extension PostStep {
    /// The steps of `post:` that the program ships.
    static let standard: [PostStep] = [
        .isotropize,
        .svc,
    ]
}

extension MethodRegistry {
    /// What the methods and post-steps that the program ships say about themselves.
    public static let standard = MethodRegistry(
        MergeMethod.standard.map(\.description) + PostStep.standard.map(\.description))
}
