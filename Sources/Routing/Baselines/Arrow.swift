import Networks

/// Arrow: each token goes to the experts whose first right singular vector it lies closest to (section 7.2; Ostapenko et
/// al. 2024). z_e = |⟨v_e, x⟩|, the K largest, softmax(z/τ) with τ = 1. K is chosen on validation samples, 3 without.
struct Arrow: RoutingBaseline {
    let id = "arrow"
    let summary = "per token: experts by |⟨first right singular vector, x⟩|"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        let tables = try Self.tables(context.experts)
        func subject(_ k: Int) -> RoutingSubject {
            let router = ScoreRouter(tables, experts: context.experts.count, k: k)
            return RoutingSubject(label: id, kind: .router(router), perSite: true)
        }
        let sizes = [3, 2, 1].filter { $0 <= context.experts.count }
        let k = try context.chosen(sizes.isEmpty ? [context.experts.count] : sizes, subject) ?? 1
        return [
            RoutedResult(
                try context.book.predictions(subject(k), fixed: "arrow k=\(k)"), detail: "k = \(k)" + context.choiceNote
            )
        ]
    }

    static func tables(_ experts: RoutedExperts) throws -> [ExpertSite.Key: any SiteScores] {
        var result: [ExpertSite.Key: any SiteScores] = [:]
        for site in try ExpertSite.all(experts) {
            let prototypes = try zip(site.pairs, experts.slots).map { pair, slot in
                try pair.map { try FactorPair($0, of: slot).topRightVector().vector }
            }
            result[site.key] = ArrowScores(prototypes: prototypes)
        }
        return result
    }
}

struct ArrowScores: SiteScores {
    /// Unit vector [inputs] of each expert.
    let prototypes: [[Double]?]

    var covered: [Bool] { prototypes.map { $0 != nil } }

    func score(_ x: UnsafePointer<Double>, into z: UnsafeMutablePointer<Double>) {
        for (expert, prototype) in prototypes.enumerated() {
            guard let prototype else { continue }
            z[expert] = prototype.withUnsafeBufferPointer { v in
                v.baseAddress.map { abs(RowKernel.dot(v.count, $0, x)) } ?? 0
            }
        }
    }
}
