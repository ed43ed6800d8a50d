// Products with a packed matrix whose numbers, like those of the other side, are rounded to bfloat16: y = x · Wᵀ.
//
// Rounding is to nearest even; numbers below the smallest normal one count as zero. Products of two such numbers are
// exact in float32, so that the result is defined by the order of the sum alone: the inner indices in pairs, of each
// pair first the odd one, one fused multiply-add per term. That is what VDPBF16PS does; every kernel here gives its
// bits (save for sums below 1e-38, which that instruction flushes to zero), whatever the number of rows.
#pragma once
#include <stdint.h>

/// Kernels in the order of their age.
enum cvector_bf16_kernel {
    CVECTOR_BF16_BEST = 0,
    /// Fused multiply-adds of whatever the code was compiled for.
    CVECTOR_BF16_PORTABLE = 1,
    CVECTOR_BF16_AVX2 = 2,
    CVECTOR_BF16_AVX512 = 3,
    /// VDPBF16PS.
    CVECTOR_BF16_DOT = 4,
};

/// Number of 16-bit elements that a packed [out, in] matrix takes.
long cvector_bf16_count(long out, long in);

/// Packs W [out, in]; element (o, i) stands at `w[o * stride_out + i * stride_in]`.
void cvector_bf16_pack(long out, long in, const float *w, long stride_out, long stride_in, uint16_t *packed);

/// Bytes of room that a product with so many rows needs for the rounded left side.
long cvector_bf16_room(long rows, long in);

/// y [rows, out] = x [rows, in] · Wᵀ (+ bias [out] when it is not null) (+ y when `accumulate`); `room` is as
/// `cvector_bf16_room` says, aligned to 64. A kernel that the CPU does not have is replaced by the portable one.
void cvector_bf16_product(enum cvector_bf16_kernel kernel, long rows, long out, long in, const float *x, long ldx,
                          const uint16_t *packed, const float *bias, float *y, long ldy, int accumulate, void *room);

/// The kernel that `CVECTOR_BF16_BEST` stands for on this CPU.
enum cvector_bf16_kernel cvector_bf16_best(void);

/// True when the CPU has what the kernel needs.
int cvector_bf16_has(enum cvector_bf16_kernel kernel);
