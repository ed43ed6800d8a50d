// Settings: files that people write, read strictly.
//
// YAML documents become `YAMLNode` trees with the line and column of every value (`YAMLReader`); `FieldReader` takes a
// mapping apart with types, and refuses unknown keys with a suggestion; `SettingOverride` applies `--set key=value`.
// Recipes, suites and the configurations of runs are read through this module, the only one that imports Yams.
//
// Begin reading at `YAMLReader.documents(in:)` and `FieldReader`.
