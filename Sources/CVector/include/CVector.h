// Inline helpers for which Swift has no good form: lane-wise maximum, conversions between vectors, the Philox
// generator on eight blocks at once, CPU features. The vector types arrive in Swift as SIMD4<Float>, SIMD8<UInt32>, …
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "BFloat16Product.h"
#include "FreedMemory.h"
#include "Gelu.h"
#include "MagnitudeCount.h"
#include "PackedProduct.h"
#include "SignElection.h"
#include "ThreadRoom.h"

typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef double f64x4 __attribute__((ext_vector_type(4)));
typedef uint32_t u32x8 __attribute__((ext_vector_type(8)));
typedef uint64_t u64x8 __attribute__((ext_vector_type(8)));

#define CVECTOR_INLINE static inline __attribute__((always_inline))

/// True when the CPU has everything that code compiled for x86-64-v3 uses (AVX2, FMA, F16C, BMI2 …).
bool cvector_cpu_supports_v3(void);

/// The larger of each pair of unsigned lanes.
CVECTOR_INLINE u32x8 vec_max_u32x8(u32x8 a, u32x8 b) { return __builtin_elementwise_max(a, b); }
/// The same numbers in double precision.
CVECTOR_INLINE f64x4 vec_widen_f32x4(f32x4 a) { return __builtin_convertvector(a, f64x4); }

/// Philox4x32-10 (Salmon et al., SC 2011) on the eight counters {c0, c1, block + 0 … 7}: `out` receives the four
/// words of the first counter, then those of the second, and so on.
CVECTOR_INLINE void vec_philox4x32x8(uint64_t key, uint64_t stream, uint64_t block, uint32_t out[32]) {
    // Words in the low halves of 64-bit lanes; the high halves are left dirty and masked where they would matter.
    const u64x8 low = (u64x8)(0xFFFFFFFFull);
    u64x8 blocks = (u64x8)(block) + (u64x8){0, 1, 2, 3, 4, 5, 6, 7};
    u64x8 c0 = (u64x8)(stream), c1 = (u64x8)(stream >> 32), c2 = blocks, c3 = blocks >> 32;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        u64x8 first = (c0 & low) * (u64x8)(0xD2511F53ull);
        u64x8 second = (c2 & low) * (u64x8)(0xCD9E8D57ull);
        c0 = (second >> 32) ^ c1 ^ (u64x8)(k0);
        c1 = second;
        c2 = (first >> 32) ^ c3 ^ (u64x8)(k1);
        c3 = first;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    // Words 0 and 1 of a block side by side in one 64-bit lane, words 2 and 3 in another.
    u64x8 front = (c0 & low) | (c1 << 32), back = (c2 & low) | (c3 << 32);
    for (int lane = 0; lane < 8; lane++) {
        uint64_t pair[2] = {front[lane], back[lane]};
        __builtin_memcpy(out + 4 * lane, pair, 16);
    }
}
