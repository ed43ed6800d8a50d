/// Static merges of the experts, one row per recipe.
struct StaticMerges: RoutingBaseline {
    let id = "merged"
    let summary = "static merges of the experts by recipe: merged:<recipe>"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        try context.merges.map { merge in
            let subject = RoutingSubject(label: "merged:" + merge.name, kind: .adapter(merge.adapter))
            return RoutedResult(
                try context.book.predictions(subject, fixed: "adapter \(merge.adapter.deltaID().hex)"))
        }
    }
}
