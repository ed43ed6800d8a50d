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

extension MethodRegistry {
    /// What the methods that the program ships say about themselves.
    public static let standard = MethodRegistry(MergeMethod.standard.map(\.description))
}
