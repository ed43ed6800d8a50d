// Evaluation: how good an adapter, a merge or a backbone is on labelled data.
//
// `Suites/` reads what to evaluate on (`SuiteReader`) and brings backbone, data, head and tasks together
// (`LoadedSuite`). `Subjects/` says what is evaluated: the bare backbone, an adapter on its sites or folded into the
// weights, or one adapter per task (`Subject`). `Runs/` streams the samples through all subjects (`Evaluator`) and
// counts (`PredictionTally`). `Statistics/` holds intervals and comparisons: Wilson for one share, the paired bootstrap
// for two subjects on the same samples, confusion and calibration.
//
// Begin reading at `Suites/Suite.swift` and `Runs/Evaluator.swift`. Results never depend on the batch, on neighbours
// in it, or on the number of threads.
