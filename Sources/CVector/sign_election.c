#include "SignElection.h"
#include "PackedProduct.h"

// A product that is fused into the sum after it would give other bits on other CPUs.
#pragma STDC FP_CONTRACT OFF

// The functions that pass vectors are all inlined: no call depends on how the ABI hands them over.
#pragma clang diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))
// Entries that are worked on at a time.
#define LANES 8

typedef float f32x8 __attribute__((ext_vector_type(LANES)));
typedef float f32x8_unaligned __attribute__((ext_vector_type(LANES), aligned(4)));
typedef double f64x8 __attribute__((ext_vector_type(LANES)));
typedef long i64x8 __attribute__((ext_vector_type(LANES)));

INLINE f64x8 choose(i64x8 mask, f64x8 a, f64x8 b) { return (f64x8)(((i64x8)a & mask) | ((i64x8)b & ~mask)); }

// The next `count` entries, zeros behind them; a constant count of LANES is one load.
INLINE f64x8 widen(const float *x, long count) {
    f32x8 values = (f32x8)(0.0f);
    if (count == LANES)
        values = *(const f32x8_unaligned *)x;
    else
        __builtin_memcpy(&values, x, (unsigned long)count * sizeof(float));
    return __builtin_convertvector(values, f64x8);
}

INLINE f64x8 score(const enum cvector_vote vote, long count, long operands, const float *const *x, long at,
                   const double *votes) {
    f64x8 sum = (f64x8)(0.0);
    for (long i = 0; i < operands; i++) {
        f64x8 value = widen(x[i] + at, count);
        if (vote == CVECTOR_VOTE_SUM) {
            sum += (f64x8)(votes[i]) * value;
        } else {
            double sign = votes[i] > 0 ? 1 : votes[i] < 0 ? -1 : 0;
            sum += choose(value > 0, (f64x8)(sign), choose(value < 0, (f64x8)(-sign), (f64x8)(0.0)));
        }
    }
    return sum;
}

INLINE f32x8 merged(const enum cvector_vote vote, const enum cvector_reduction reduction, long count, long operands,
                    const float *const *x, long at, const double *votes, const double *weights, double zero_sign,
                    double scale) {
    f64x8 sum = score(vote, count, operands, x, at, votes);
    f64x8 sign = choose(sum > 0, (f64x8)(1.0), choose(sum < 0, (f64x8)(-1.0), (f64x8)(zero_sign)));
    f64x8 numerator = (f64x8)(0.0), divisor = (f64x8)(0.0);
    for (long i = 0; i < operands; i++) {
        f64x8 value = widen(x[i] + at, count);
        i64x8 matches = (f64x8)(votes[i]) * value * sign > 0;
        f64x8 part = (f64x8)((i64x8)((f64x8)(weights[i]) * value) & matches);
        if (reduction == CVECTOR_MAX) {
            f64x8 size = __builtin_elementwise_abs(part);
            numerator = choose(size > numerator, size, numerator);
        } else {
            numerator += part;
            double share = reduction == CVECTOR_WEIGHTED_MEAN ? weights[i] : 1;
            if (reduction != CVECTOR_SUM) divisor += (f64x8)((i64x8)(f64x8)(share) & matches);
        }
    }
    f64x8 result;
    switch (reduction) {
    case CVECTOR_SUM: result = numerator; break;
    case CVECTOR_MAX: result = sign * numerator; break;
    case CVECTOR_MEAN: result = numerator / choose(divisor > 1, divisor, (f64x8)(1.0)); break;
    case CVECTOR_WEIGHTED_MEAN: result = numerator / choose(divisor == 0, (f64x8)(1.0), divisor); break;
    }
    return __builtin_convertvector((f64x8)(scale) * result, f32x8);
}

INLINE void merge_all(const enum cvector_vote vote, const enum cvector_reduction reduction, long n, long operands,
                      const float *const *x, long offset, const double *votes, const double *weights, double zero_sign,
                      double scale, float *y) {
    long e = 0;
    for (; e + LANES <= n; e += LANES)
        *(f32x8_unaligned *)(y + e) =
            merged(vote, reduction, LANES, operands, x, offset + e, votes, weights, zero_sign, scale);
    if (e == n) return;
    f32x8 last = merged(vote, reduction, n - e, operands, x, offset + e, votes, weights, zero_sign, scale);
    __builtin_memcpy(y + e, &last, (unsigned long)(n - e) * sizeof(float));
}

INLINE long balance(const enum cvector_vote vote, long n, long operands, const float *const *x, long offset,
                    const double *votes) {
    i64x8 total = (i64x8)(0);
    for (long e = 0; e < n; e += LANES) {
        // Entries behind the last one are zero, so that they count for neither side.
        f64x8 sum = e + LANES <= n ? score(vote, LANES, operands, x, offset + e, votes)
                                   : score(vote, n - e, operands, x, offset + e, votes);
        total += (sum < 0) - (sum > 0);
    }
    long result = 0;
    for (int lane = 0; lane < LANES; lane++) result += total[lane];
    return result;
}

// One loop per rule, so that the rule is a constant in it.
#define MERGE(vote, reduction) \
    merge_all(vote, reduction, n, operands, x, offset, votes, weights, zero_sign, scale, y)
#define MERGE_BY(vote) \
    switch (reduction) { \
    case CVECTOR_MEAN: MERGE(vote, CVECTOR_MEAN); break; \
    case CVECTOR_WEIGHTED_MEAN: MERGE(vote, CVECTOR_WEIGHTED_MEAN); break; \
    case CVECTOR_SUM: MERGE(vote, CVECTOR_SUM); break; \
    case CVECTOR_MAX: MERGE(vote, CVECTOR_MAX); break; \
    }
#define BOTH_FUNCTIONS(name, attribute) \
    attribute static void merge_##name(enum cvector_vote vote, enum cvector_reduction reduction, long n, long operands, \
                                       const float *const *x, long offset, const double *votes, const double *weights, \
                                       double zero_sign, double scale, float *y) { \
        if (vote == CVECTOR_VOTE_SUM) \
            MERGE_BY(CVECTOR_VOTE_SUM) \
        else \
            MERGE_BY(CVECTOR_VOTE_COUNT) \
    } \
    attribute static long balance_##name(enum cvector_vote vote, long n, long operands, const float *const *x, \
                                         long offset, const double *votes) { \
        return vote == CVECTOR_VOTE_SUM ? balance(CVECTOR_VOTE_SUM, n, operands, x, offset, votes) \
                                        : balance(CVECTOR_VOTE_COUNT, n, operands, x, offset, votes); \
    }

#if defined(__x86_64__)
BOTH_FUNCTIONS(512, __attribute__((target("avx512f,avx512vl,avx512dq"))))
BOTH_FUNCTIONS(256, __attribute__((target("avx2"))))
#else
BOTH_FUNCTIONS(128, )
#endif

void cvector_elect_and_merge(enum cvector_vote vote, enum cvector_reduction reduction, long n, long operands,
                             const float *const *x, long offset, const double *votes, const double *weights,
                             double zero_sign, double scale, float *y) {
#if defined(__x86_64__)
    if (cvector_packed_width() == 512)
        merge_512(vote, reduction, n, operands, x, offset, votes, weights, zero_sign, scale, y);
    else
        merge_256(vote, reduction, n, operands, x, offset, votes, weights, zero_sign, scale, y);
#else
    merge_128(vote, reduction, n, operands, x, offset, votes, weights, zero_sign, scale, y);
#endif
}

long cvector_elected_balance(enum cvector_vote vote, long n, long operands, const float *const *x, long offset,
                             const double *votes) {
#if defined(__x86_64__)
    return cvector_packed_width() == 512 ? balance_512(vote, n, operands, x, offset, votes)
                                         : balance_256(vote, n, operands, x, offset, votes);
#else
    return balance_128(vote, n, operands, x, offset, votes);
#endif
}
