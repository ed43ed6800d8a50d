#include "Gelu.h"
#include "PackedProduct.h"

typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef int i32x16 __attribute__((ext_vector_type(16)));
typedef float f32x16_unaligned __attribute__((ext_vector_type(16), aligned(4)));

#define INLINE static inline __attribute__((always_inline))
#define ALL(value) ((f32x16)(value))
#define FMA __builtin_elementwise_fma

// One step per line of the formulas in the header; every operation is rounded lane by lane, so that the width of the
// CPU's vectors changes no bit.
INLINE void gelu16(const float *x, float *y, float *derivative) {
    f32x16 v = *(const f32x16_unaligned *)x;
    // From 14 on φ and Φ(−a) are below 1e-43 and count as zero: nothing of the way overflows, however large the argument.
    f32x16 a = __builtin_elementwise_min(__builtin_elementwise_abs(v), ALL(14.0f)), square = a * a;
    // What rounding the square lost: without it the exponential of large arguments would be off by 1e-5.
    f32x16 rest = FMA(a, a, -square);
    // exp(-square / 2) as 2ⁿ·p(r); adding 1.5·2²³ rounds to an integer that then stands in the low bits.
    f32x16 u = __builtin_elementwise_max(square * ALL(-0.5f), ALL(-87.0f));
    f32x16 shifted = FMA(u, ALL(1.44269504f), ALL(12582912.0f)), n = shifted - ALL(12582912.0f);
    f32x16 r = FMA(n, ALL(2.1219444e-4f), FMA(n, ALL(-0.693359375f), u));
    f32x16 e = FMA(ALL(0.00138131f), r, ALL(0.00836942f));
    e = FMA(e, r, ALL(0.04166846f));
    e = FMA(e, r, ALL(0.16666515f));
    e = FMA(e, r, ALL(0.49999993f));
    e = ALL(1.0f) + FMA(e, r * r, r);
    e = (f32x16)((i32x16)e + ((i32x16)shifted << 23));
    f32x16 density = a < ALL(14.0f) ? FMA(e, rest * ALL(-0.5f), e) * ALL(0.39894228f) : ALL(0.0f);
    // Mills ratio of a.
    f32x16 t = ALL(1.0f) / FMA(a, ALL(0.35f), ALL(1.0f));
    f32x16 p = FMA(ALL(-0.07305803f), t, ALL(0.36088363f));
    p = FMA(p, t, ALL(-0.64098079f));
    p = FMA(p, t, ALL(0.39899069f));
    p = FMA(p, t, ALL(-0.05792793f));
    p = FMA(p, t, ALL(0.26446941f));
    p = FMA(p, t, ALL(0.30037644f));
    p = FMA(p, t, ALL(0.35058172f));
    p = FMA(p, t, ALL(0.34997896f));
    f32x16 tail = density * (t * p);
    f32x16 probability = v < ALL(0.0f) ? tail : ALL(1.0f) - tail;
    *(f32x16_unaligned *)y = v * probability;
    if (derivative) *(f32x16_unaligned *)derivative = FMA(v, density, probability);
}

INLINE void gelu(long n, const float *x, float *y, float *derivative) {
    long i = 0;
    if (derivative)
        for (; i + 16 <= n; i += 16) gelu16(x + i, y + i, derivative + i);
    else
        for (; i + 16 <= n; i += 16) gelu16(x + i, y + i, 0);
    if (i == n) return;
    float values[16] = {0}, slopes[16];
    for (long j = i; j < n; j++) values[j - i] = x[j];
    gelu16(values, values, slopes);
    for (long j = i; j < n; j++) {
        y[j] = values[j - i];
        if (derivative) derivative[j] = slopes[j - i];
    }
}

#if defined(__x86_64__)

__attribute__((target("avx512f,avx512vl,avx512dq,fma"))) static void gelu_512(
    long n, const float *x, float *y, float *d) {
    gelu(n, x, y, d);
}

__attribute__((target("avx2,fma"))) static void gelu_256(long n, const float *x, float *y, float *d) {
    gelu(n, x, y, d);
}

void cvector_gelu(long n, const float *x, float *y, float *derivative) {
    if (cvector_packed_width() == 512)
        gelu_512(n, x, y, derivative);
    else
        gelu_256(n, x, y, derivative);
}

#else

void cvector_gelu(long n, const float *x, float *y, float *derivative) { gelu(n, x, y, derivative); }

#endif
