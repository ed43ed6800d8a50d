// Tensors: numbers in memory.
//
// `DType` names element types, `TensorView` is a tensor somewhere in memory (mostly in a mapped file) and `TensorBuffer`
// one of our own; `Matrix` is a dense row-major matrix. `FloatConversion` widens and narrows f16 and bf16,
// `CounterRandom` draws random numbers that depend on a seed and a position only, `ValueScan` looks for NaN, zeros and
// extremes in one pass.
//
// Loops run over unsafe buffers in vector code; nothing here knows of files or adapters. Begin at `TensorView.swift`.
