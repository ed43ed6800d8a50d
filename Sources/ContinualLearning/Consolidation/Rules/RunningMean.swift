extension ConsolidationMethod {
    /// S⁺ = S + (L − S)/(t+1): the running mean of the checkpoints.
    static let runningMean = ConsolidationMethod(
        id: "mean", summary: "running mean of what the network was at the end of each task",
        source: "cil-engine 8.2", parameters: [],
        .blend { context in Blend(slow: 1, fast: 1 / Double(context.task + 1)) })
}
