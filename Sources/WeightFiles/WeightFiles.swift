// WeightFiles reads and writes the files that hold weights, and nothing about what the weights mean.
//
// - `StrictJSON`, `JSONValue`: JSON without surprises (`JSON/`).
// - `MappedBytes`, `FileSource`: a file, or a member of an archive, in place in memory (`Mapped/`).
// - `SafetensorsFile`, `ShardedWeights`, both `WeightSet`s; `SafetensorsWriter` (`Safetensors/`).
// - `AtomicFile`, `AtomicFolder`, `FaultPoint`: output that is complete or absent; `ResumableOutput`: large output that a
//   later run can take up (`Durable/`).
// - `ArchiveReader` for foreign archives, `BankArchiveWriter` and `BankArchiveReader` for the bank's own tar
//   (`Archives/`). The only module that imports libarchive.
//
// Begin with `WeightSet`, then `SafetensorsFile`.
