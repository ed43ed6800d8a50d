// Numbers in memory: what every other module computes with.
//
// - `DType`, `TensorView`: a tensor of a file where it lies, at any alignment; `TensorBuffer` owns its memory,
//   `MappedFile` maps a file. `TensorView.copy(into:)` and `floatMatrix` convert to `Float` or `Double`.
// - `FloatConversion`, `Rounding`, `ByteFloat`: conversions between f64, f32, f16, bf16 and the 8-bit number types.
// - `ValueStatistics`, `ValueScan`: NaN, infinity, extremes, zeros and norms in one pass.
// - `Matrix`: dense, row-major, owned; `LinearAlgebra` works on it.
// - `CounterRandom`: random numbers that are a function of seed, stream and position.
//
// Begin with `TensorView`.
