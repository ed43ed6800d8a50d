import Diagnostics
import Tensors

/// A step of `post:` that follows a method: what it says about itself, and what it does to the merged core. One file
/// per step; registering it is one line in `StandardMethods.swift`.
public struct PostStep: Sendable {
    public let description: MethodDescription
    /// New core from the merged one; the space holds the operands' cores in the same coordinates. The context's
    /// parameters are those of the step.
    let apply: @Sendable (MethodContext, CoreSpace, Matrix<Double>) throws -> Matrix<Double>
}

/// A post-step with its parameters at one module.
struct BoundPostStep: Sendable {
    private let step: PostStep
    private let context: MethodContext

    /// - Throws: `recipe.unknown_method`.
    init(_ plan: PostStepPlan, _ context: MethodContext) throws {
        guard let step = PostStep.standard.first(where: { $0.description.id == plan.id }) else {
            throw Failure(.recipeUnknownMethod, "there is no post step '\(plan.id)'", place: context.module)
        }
        self.step = step
        var own = context
        own.method = step.description
        own.parameters = plan.parameters
        self.context = own
    }

    func apply(_ space: CoreSpace, _ merged: Matrix<Double>) throws -> Matrix<Double> {
        try step.apply(context, space, merged)
    }
}
