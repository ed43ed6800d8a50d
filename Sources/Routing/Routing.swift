// Routing: LoRA-Mixer, trained routers over frozen adapters, and what they are measured against.
//
// `Experts/` brings the adapters of a mixture onto one backbone (`RoutedExperts`). `Subjects/` says how a sample is mixed
// (`RoutingSubject`: by a router at each linear, from frozen features, by constants) and runs it (`RoutedEvaluation`).
// `Routers/` holds the networks that turn inputs into mixing weights, forward and backward side by side; `Losses/` one
// file per term of the loss; `Learning/` the training; `Files/` routers on disk; `Configuration/` the YAML form;
// `Execution/` plans, their cost and generation. `Baselines/`, `Evaluation/` and `Trace/` measure and explain.
//
// Source of the method: Li et al., "LoRA-Mixer: Coordinate Modular LoRA Experts Through Serial Attention Routing",
// arXiv 2507.00029. Where the paper is silent, `docs/router.md` says what was decided. Begin reading at
// `Routers/RouterOptions.swift`, `Routers/MixingRule.swift` and `Subjects/RoutingSubject.swift`.
