// Adapters: what an adapter is, whatever file it came from.
//
// `Adapter` is a base identity, a list of `LoRAModule`s (pairs of factors with their scale) and whole tensors that travel
// with them; weights stay mapped in their files. `AdapterLocation` finds adapters in folders, archives and files,
// `AdapterReader` reads them, `DeltaIdentity` names an update by its content. `PEFT/` holds the rules of that format,
// `Patterns/` the module patterns of its configurations. `AdapterLibrary` is the protocol through which merging gets its
// operands, from a bank or from paths.
//
// Begin reading at `Adapter.swift`, then `AdapterReader.swift`.
