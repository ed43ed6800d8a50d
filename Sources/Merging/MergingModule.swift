// Merging: many adapters in, one out.
//
// `Recipes/` reads a recipe (YAML or options) and checks every key; `Planning/` applies it to adapters, so that a
// `StagePlan` has no open question left; `Methods/` holds one file per rule, each with its paper, parameters and formula;
// `Execution/` carries a plan out module by module and writes the result with its record. `Comparison/` tells how alike
// adapters are.
//
// Nothing here needs a bank: operands come through `AdapterLibrary`. Begin with `Planning/MergePlan.swift`, then read one
// method.
