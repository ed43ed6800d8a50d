// Products with a matrix that is used many times: y = x · Wᵀ with W packed once. Every number of the result is the sum
// of its terms in the order of the inner index, each step one fused multiply-add, whatever the number of rows, the
// place of the row among them and the width of the CPU's vectors: the same input row gives the same bits everywhere.
// Swift has no form for code that exists once per CPU generation, and the 512-bit units double the speed.
#pragma once

/// Columns of one panel of a packed matrix.
#define CVECTOR_PANEL 16

/// Number of floats that a packed [out, in] matrix takes.
long cvector_packed_count(long out, long in);

/// Packs alpha · W [out, in]; element (o, i) stands at `w[o * stride_out + i * stride_in]`.
void cvector_pack(long out, long in, const float *w, long stride_out, long stride_in, float alpha, float *packed);

/// y [rows, out] = x [rows, in] · Wᵀ (+ bias [out] when it is not null) (+ y when `accumulate`); element (r, i) of x
/// stands at `x[r * row + i * step]`.
void cvector_packed_product(long rows, long out, long in, const float *x, long row, long step, const float *packed,
                            const float *bias, float *y, long ldy, int accumulate);

/// 512, 256 or 128: the vector width in bits that `cvector_packed_product` and `cvector_gelu` use on this CPU.
int cvector_packed_width(void);
