extension MergeMethod {
    /// A* = [w_i s_i A_i], B* = [B_i], filled up with zeros to the sum of the adapters' largest ranks.
    static let peftCat = MergeMethod.peft(
        id: "cat", title: "PEFT cat", summary: "Puts the factors side by side; the exact weighted sum.",
        exactness: .gram, parameters: [], cost: "one pass over the factors", rule: .combination { $0.weights },
        output: { context in
            OutputPreference(
                split: .a, paddedRank: context.declaredRanks.reduce(0, +), allowsOvercomplete: true)
        })
}
