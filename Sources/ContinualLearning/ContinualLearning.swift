// ContinualLearning: class-incremental learning with LoRA adapters on a frozen backbone.
//
// `Metrics/AccuracyMatrix` turns right answers after each task into the numbers that the field reports; every number
// carries its exact name, since different toolkits call different things "forgetting". `RunMetrics` makes all of them
// from `predictions.csv`, `PairedSeeds` compares settings over seeds.
//
// `Consolidation/` moves what a fast memory learned into the slow one: `Consolidation.apply`, one rule per file below
// `Rules/`. `Heads/` holds heads made of statistics that grow from task to task; `Analysis/` spectra of updates and
// overlaps between them.
