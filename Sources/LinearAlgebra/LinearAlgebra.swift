// Dense and low-rank linear algebra on row-major matrices.
//
// - `multiply`, `symmetricProduct`, `thinQR`, `thinSVD`, `symmetricEigen`, `cholesky`, `solve`: BLAS and LAPACK with
//   typed errors, for `Float` and `Double` (`BLASScalar`). BLAS runs on one thread (`BLASThreads`); callers run several
//   modules or tiles at a time.
// - `LowRankFactors` is one update s·B·A; `FactorGram` holds the inner products of several; `JointCore` moves several
//   into one small common basis and back, so that spectral methods never form an m×n matrix.
// - `polarFactor`, `numericalRank`, `RankBudget`, `RandomizedSVD`: what merge methods are made of.
//
// Begin with `JointCore`.
