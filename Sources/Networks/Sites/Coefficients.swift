/// How much each slot of a mix contributes: y = x·Wᵀ + b + Σ_e s_e·w_e·(x·A_eᵀ)·B_eᵀ.
public enum Coefficients<S: NetworkScalar>: Sendable {
    /// One number per slot, the same everywhere.
    case constant([S])
    /// [samples, slots], row-major: samples of one batch go through different adapters.
    case perSample([S])
    /// [rows, slots] for the token rows of the batch, sample after sample.
    case perRow([S])
    /// Computed at each linear from its own input.
    case routed(any SiteRouter<S>)

    /// Every slot with weight 1.
    public static func ones(_ slots: Int) -> Coefficients { .constant([S](repeating: 1, count: slots)) }

    /// Sample i goes through slot `slots[i]` alone (nil: the bare backbone); `count` slots in all.
    public static func oneHot(_ slots: [Int?], count: Int) -> Coefficients {
        var table = [S](repeating: 0, count: slots.count * count)
        for (sample, slot) in slots.enumerated() {
            if let slot { table[sample * count + slot] = 1 }
        }
        return .perSample(table)
    }
}

/// Rows on their way through one linear, as a router sees them.
public struct RoutedRows<S: NetworkScalar> {
    /// Input of the linear, [count, width] with row stride `stride`.
    public let input: UnsafePointer<S>
    public let stride: Int
    public let width: Int
    public let count: Int
    /// Coefficients per row that the linear takes.
    public let columns: Int
    /// Place of the first row and of the first sample in the batch.
    public let firstRow: Int
    public let firstSample: Int
    /// Where each sample begins among these rows, and the end: `samples + 1` numbers.
    public let offsets: [Int]
    /// Sums over rows (gradients, statistics) go to this accumulator, below ``ForwardPass/accumulators``: each is used
    /// by one thread at a time, in an order that only the batch decides.
    public let accumulator: Int
    /// False in passes without backward: nothing needs to be kept.
    public let isRecorded: Bool
}

/// Computes mixing coefficients at each linear and takes their gradients.
///
/// The calls for different rows come from several threads; what is kept between `coefficients` and `backward` belongs
/// at the rows' place in the batch. Each row's coefficients must not depend on rows of other samples.
public protocol SiteRouter<S>: AnyObject, Sendable {
    associatedtype S: NetworkScalar

    /// Writes the coefficients [rows, columns]: columns = slots, or (sites of the linear) × slots, site-major, when
    /// the mix was made with `perSite`.
    func coefficients(at point: RoutingPoint, rows: RoutedRows<S>, into weights: UnsafeMutablePointer<S>)

    /// Takes ∂L/∂w and adds what flows back to the linear's input to `inputGradient` (nil: nobody needs it).
    func backward(
        at point: RoutingPoint, rows: RoutedRows<S>, weights: UnsafePointer<S>, weightGradient: UnsafePointer<S>,
        inputGradient: UnsafeMutablePointer<S>?)

    /// Called with a layer's input before its linears, for routers that a whole layer shares.
    func enter(layer: Int, rows: RoutedRows<S>)

    /// Called after the layer's backward; may add to the gradient at the layer's input (nil: nobody needs it).
    func leave(layer: Int, rows: RoutedRows<S>, inputGradient: UnsafeMutablePointer<S>?)
}

extension SiteRouter {
    public func enter(layer: Int, rows: RoutedRows<S>) {}
    public func leave(layer: Int, rows: RoutedRows<S>, inputGradient: UnsafeMutablePointer<S>?) {}
}
