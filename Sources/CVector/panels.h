// What the kernels on packed matrices share: the vector types, and the way a tile of sums is stored.
#pragma once
#include "PackedProduct.h"
#include <stddef.h>

typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef float f32x16_unaligned __attribute__((ext_vector_type(16), aligned(4)));
typedef float f32x8_unaligned __attribute__((ext_vector_type(8), aligned(4)));
typedef float f32x4_unaligned __attribute__((ext_vector_type(4), aligned(4)));
typedef float f32x2_unaligned __attribute__((ext_vector_type(2), aligned(4)));
typedef float f32x1_unaligned;

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

// Adds `count` lanes (1, 2, 4, 8 or 16) of bias and old values to `lanes` and stores them.
#define STORE(type) \
    { \
        type value = *(const type *)lanes; \
        if (bias) value += *(const type *)bias; \
        if (accumulate) value += *(const type *)y; \
        *(type *)y = value; \
    }
#define STORE_PART(type, count) \
    if (width & count) { \
        STORE(type) \
        lanes += count, y += count; \
        if (bias) bias += count; \
    }

// Adds bias and old values where wanted and stores the first `width` columns of a sum.
INLINE void store(const float *lanes, const float *bias, float *y, long width, int accumulate) {
    if (width >= CVECTOR_PANEL) {
        STORE(f32x16_unaligned)
        return;
    }
    STORE_PART(f32x8_unaligned, 8)
    STORE_PART(f32x4_unaligned, 4)
    STORE_PART(f32x2_unaligned, 2)
    STORE_PART(f32x1_unaligned, 1)
}
