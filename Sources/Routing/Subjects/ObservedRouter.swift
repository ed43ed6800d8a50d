import Networks

/// A router whose decisions somebody watches. For passes without backward.
public final class ObservedRouter: SiteRouter {
    public typealias S = Float
    public typealias Observer =
        @Sendable (_ point: RoutingPoint, _ rows: RoutedRows<Float>, _ weights: UnsafePointer<Float>) -> Void

    private let router: any SiteRouter<Float>
    private let observer: Observer

    /// - Parameter observer: called from several threads, after each decision, with weights [rows, columns].
    public init(_ router: any SiteRouter<Float>, observer: @escaping Observer) {
        self.router = router
        self.observer = observer
    }

    public func coefficients(
        at point: RoutingPoint, rows: RoutedRows<Float>, into weights: UnsafeMutablePointer<Float>
    ) {
        router.coefficients(at: point, rows: rows, into: weights)
        observer(point, rows, weights)
    }

    public func backward(
        at point: RoutingPoint, rows: RoutedRows<Float>, weights: UnsafePointer<Float>,
        weightGradient: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
    ) {
        router.backward(
            at: point, rows: rows, weights: weights, weightGradient: weightGradient, inputGradient: inputGradient)
    }

    public func enter(layer: Int, rows: RoutedRows<Float>) { router.enter(layer: layer, rows: rows) }

    public func leave(layer: Int, rows: RoutedRows<Float>, inputGradient: UnsafeMutablePointer<Float>?) {
        router.leave(layer: layer, rows: rows, inputGradient: inputGradient)
    }
}
