import Foundation

/// The learning rate at each step of a run (or task).
public struct LearningRateSchedule: Sendable, Hashable {
    public enum Shape: String, Sendable, CaseIterable {
        case constant
        /// Half a cosine from the base rate to `minimum`.
        case cosine
        /// A straight line from the base rate to `minimum`.
        case linear
    }

    public var shape: Shape
    public var base: Double
    public var minimum: Double
    /// Steps of linear warm-up from base/warmup to base.
    public var warmupSteps: Int
    public var totalSteps: Int

    public init(_ shape: Shape, base: Double, minimum: Double = 0, warmupSteps: Int = 0, totalSteps: Int) {
        self.shape = shape
        self.base = base
        self.minimum = minimum
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
    }

    /// The rate at step `step`, counted from 0.
    public func rate(at step: Int) -> Double {
        if step < warmupSteps { return base * Double(step + 1) / Double(warmupSteps) }
        let span = max(1, totalSteps - warmupSteps)
        let share = min(1, Double(step - warmupSteps) / Double(span))
        switch shape {
        case .constant: return base
        case .cosine: return minimum + (base - minimum) * 0.5 * (1 + cos(Double.pi * share))
        case .linear: return base + (minimum - base) * share
        }
    }
}
