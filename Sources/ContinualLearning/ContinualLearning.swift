// ContinualLearning: class-incremental learning with LoRA adapters on a frozen backbone.
//
// `Metrics/AccuracyMatrix` turns right answers after each task into the numbers that the field reports; every number
// carries its exact name, since different toolkits call different things "forgetting".
