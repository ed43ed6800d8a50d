import Networks

/// Everything that decides what is trained and how.
public struct RouterSetup: Sendable {
    public var router = RouterOptions()
    /// How the trained router mixes, in validation and afterwards.
    public var routing = RoutingOptions()
    public var loss = LossOptions()
    public var training = RouterTrainingOptions()

    public init() {}
}

/// A router after training, or read from a file.
public struct TrainedRouter: Sendable {
    public let model: RouterModel
    public var setup: RouterSetup
    public let tasks: ExpertTasks
    public var log: TrainingLog

    public init(model: RouterModel, setup: RouterSetup, tasks: ExpertTasks, log: TrainingLog = TrainingLog()) {
        self.model = model
        self.setup = setup
        self.tasks = tasks
        self.log = log
    }

    /// `router:topk2` and so on, mixing as `routing` says (nil: as it was set up).
    public func subject(_ routing: RoutingOptions? = nil) -> RoutingSubject {
        let routing = routing ?? setup.routing
        var subject = RoutingSubject(
            label: "router:" + routing.label(experts: model.outputs), kind: kind(routing), perSite: model.isPerSite,
            active: routing.mode.isSparse && routing.topP == nil ? routing.active(of: model.outputs) : nil)
        subject.decidesPerLayer = model.options.scope == .layer
        return subject
    }

    private func kind(_ routing: RoutingOptions) -> RoutingSubject.Kind {
        model.options.scope == .global
            ? .frozen(GlobalRouter(model, routing: routing))
            : .router(LearnedRouter<Float>(model, routing: routing))
    }
}
