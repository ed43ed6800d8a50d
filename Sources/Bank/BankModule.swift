// Bank: where adapters are kept, found and tracked.
//
// `Bank` is a folder with a catalogue (SQLite) and an object store (one immutable archive per adapter version, named
// by its SHA-256). Begin with `Bank`, then `Bank+Import` (how an adapter gets in without half-done states), `BankWorkspace`
// (the same road for results of merging and training), `Bank+References` (how `name@3`, `tag:set=digits` and the
// others are resolved) and `Catalogue/CatalogueSchema` (the tables).
