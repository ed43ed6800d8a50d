/// Warns where the size of the whole result beside that of its operands makes the scale implausible.
///
/// Updates without common directions add up to the root of the sum of their squares; a method that keeps them all stays
/// near that. Far above, the sum repeats what the adapters share; far below the largest one, little of any is left.
enum ResultSize {
    /// Times √Σ‖Δ_i‖².
    static let largest = 1.5
    /// Times the largest ‖Δ_i‖.
    static let smallest = 0.1

    static func warnings(_ modules: [MergedModule]) -> [String] {
        var (merged, sum, greatest) = (0.0, 0.0, 0.0)
        for module in modules {
            guard let norm = module.frobenius, let energies = module.operandEnergies, energies.count > 1 else {
                return []
            }
            merged += norm * norm
            sum += energies.reduce(0, +)
            greatest += energies.max() ?? 0
        }
        guard sum > 0 else { return [] }
        let (high, low) = ((merged / sum).squareRoot(), (merged / greatest).squareRoot())
        if high > largest {
            return [
                "the merged update is \(text(low)) times as large as the largest of its operands, and \(text(high)) "
                    + "times what updates without common directions add up to: the weights are large, or the sum "
                    + "repeats what the operands share; a lower lambda, a mean or tsv_m avoid that"
            ]
        }
        if low < smallest {
            return [
                "the merged update is only \(text(low)) times as large as the largest of its operands: look at "
                    + "lambda and the weights"
            ]
        }
        return []
    }

    private static func text(_ value: Double) -> String { NumberText.shortest((value * 1000).rounded() / 1000) }
}
