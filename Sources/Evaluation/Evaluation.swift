// Evaluation: how good an adapter, a merge or a backbone is on labelled data.
//
// Begin with `PredictionTally`: from logits it counts what was right over all classes and within the sample's own task.
// `Statistics/` holds intervals and comparisons: Wilson for one share, the paired bootstrap for two subjects on the
// same samples, confusion and calibration. Suites (what to evaluate on) and records (what the bank keeps) build on them.
