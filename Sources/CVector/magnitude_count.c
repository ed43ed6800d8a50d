#include "MagnitudeCount.h"
#include "PackedProduct.h"
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t magnitude(const float *x) {
    uint32_t bits;
    __builtin_memcpy(&bits, x, 4);
    return bits & 0x7FFFFFFFu;
}

INLINE long count_one_by_one(long n, const float *x, uint32_t low, int shift, uint32_t count, uint32_t *bins) {
    long above = 0;
    for (long i = 0; i < n; i++) {
        uint32_t bits = magnitude(x + i);
        if (bits < low) continue;
        uint32_t bin = (bits - low) >> shift;
        if (bin < count)
            bins[bin]++;
        else
            above++;
    }
    return above;
}

#if defined(__x86_64__)
#include <immintrin.h>

// Entries after which the bins found so far are counted; they stay in the first cache until then.
#define STRETCH 2048

__attribute__((target("avx512f,avx512vl,avx512dq,popcnt"))) static long count_512(
    long n, const float *x, uint32_t low, int shift, uint32_t count, uint32_t *bins) {
    const __m512i clear = _mm512_set1_epi32(0x7FFFFFFF), first = _mm512_set1_epi32((int)low);
    const __m512i length = _mm512_set1_epi32((int)count);
    const __m128i places = _mm_cvtsi32_si128(shift);
    uint32_t found[STRETCH + 16];
    long above = 0, i = 0;
    while (i + 16 <= n) {
        long end = i + STRETCH < n - 15 ? i + STRETCH : n - 15, filled = 0;
        // Without a branch on the data: which vectors hold entries in range cannot be predicted.
        for (; i < end; i += 16) {
            __m512i bits = _mm512_and_si512(_mm512_loadu_si512(x + i), clear);
            __mmask16 reaches = _mm512_cmpge_epu32_mask(bits, first);
            __m512i bin = _mm512_srl_epi32(_mm512_sub_epi32(bits, first), places);
            __mmask16 inside = _mm512_mask_cmplt_epu32_mask(reaches, bin, length);
            above += __builtin_popcount(reaches ^ inside);
            _mm512_storeu_si512(found + filled, _mm512_maskz_compress_epi32(inside, bin));
            filled += __builtin_popcount(inside);
        }
        for (long k = 0; k < filled; k++) bins[found[k]]++;
    }
    return above + count_one_by_one(n - i, x + i, low, shift, count, bins);
}

__attribute__((target("avx2,popcnt"))) static long count_256(
    long n, const float *x, uint32_t low, int shift, uint32_t count, uint32_t *bins) {
    // Magnitudes are positive as signed numbers, so that signed comparisons serve.
    const __m256i clear = _mm256_set1_epi32(0x7FFFFFFF), before = _mm256_set1_epi32((int)low - 1);
    long above = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i bits = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(x + i)), clear);
        int reaches = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(bits, before)));
        for (; reaches; reaches &= reaches - 1) {
            uint32_t bin = (magnitude(x + i + __builtin_ctz(reaches)) - low) >> shift;
            if (bin < count)
                bins[bin]++;
            else
                above++;
        }
    }
    return above + count_one_by_one(n - i, x + i, low, shift, count, bins);
}
#endif

long cvector_count_magnitudes(long n, const float *x, uint32_t low, int shift, uint32_t count, uint32_t *bins) {
#if defined(__x86_64__)
    return cvector_packed_width() == 512 ? count_512(n, x, low, shift, count, bins)
                                         : count_256(n, x, low, shift, count, bins);
#else
    return count_one_by_one(n, x, low, shift, count, bins);
#endif
}
