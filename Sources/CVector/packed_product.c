#include "panels.h"

long cvector_packed_count(long out, long in) { return (out + CVECTOR_PANEL - 1) / CVECTOR_PANEL * CVECTOR_PANEL * in; }

void cvector_pack(long out, long in, const float *w, long stride_out, long stride_in, float alpha, float *packed) {
    for (long first = 0; first < out; first += CVECTOR_PANEL, packed += CVECTOR_PANEL * in) {
        long width = out - first < CVECTOR_PANEL ? out - first : CVECTOR_PANEL;
        const float *from = w + first * stride_out;
        if (width == CVECTOR_PANEL && stride_out == 1) {
            for (long i = 0; i < in; i++)
                for (long c = 0; c < CVECTOR_PANEL; c++)
                    packed[CVECTOR_PANEL * i + c] = alpha * from[i * stride_in + c];
            continue;
        }
        if (width < CVECTOR_PANEL)
            for (long i = 0; i < CVECTOR_PANEL * in; i++) packed[i] = 0;
        // Eight inner indices at a time, so that neither side leaves the cache lines it touches.
        for (long begin = 0; begin < in; begin += 8) {
            long end = begin + 8 < in ? begin + 8 : in;
            for (long c = 0; c < width; c++)
                for (long i = begin; i < end; i++)
                    packed[CVECTOR_PANEL * i + c] = alpha * from[c * stride_out + i * stride_in];
        }
    }
}

// `height` rows times `panels` panels; both are constants after inlining, so that the sums stay in registers.
INLINE void tile(const int height, const int panels, long in, const float *x, long row, long step, const float *packed,
                 const float *bias, float *y, long ldy, long width, int accumulate) {
    f32x16 sums[12][2];
    UNROLL for (int r = 0; r < height; r++) UNROLL for (int p = 0; p < panels; p++) sums[r][p] = (f32x16)(0.0f);
    const float *second = packed + CVECTOR_PANEL * in;
    for (long i = 0; i < in; i++) {
        f32x16 w[2];
        w[0] = *(const f32x16_unaligned *)(packed + CVECTOR_PANEL * i);
        if (panels == 2) w[1] = *(const f32x16_unaligned *)(second + CVECTOR_PANEL * i);
        UNROLL for (int r = 0; r < height; r++) {
            f32x16 value = (f32x16)(x[r * row + i * step]);
            UNROLL for (int p = 0; p < panels; p++) sums[r][p] = __builtin_elementwise_fma(value, w[p], sums[r][p]);
        }
    }
    UNROLL for (int r = 0; r < height; r++) UNROLL for (int p = 0; p < panels; p++) {
        long column = CVECTOR_PANEL * p;
        store((const float *)&sums[r][p], bias ? bias + column : NULL, y + r * ldy + column, width - column, accumulate);
    }
}

// All rows of one or two panels.
INLINE void strip(const int tall, const int panels, long rows, long in, const float *x, long row, long step,
                  const float *packed, const float *bias, float *y, long ldy, long width, int accumulate) {
    long r = 0;
#define ROWS(height) \
    for (; r + height <= rows; r += height) \
        tile(height, panels, in, x + r * row, row, step, packed, bias, y + r * ldy, ldy, width, accumulate);
    if (tall >= 12) { ROWS(12) }
    if (tall >= 6) { ROWS(6) }
    ROWS(4)
    ROWS(2)
    ROWS(1)
#undef ROWS
}

INLINE void product(const int tall, const int pair, long rows, long out, long in, const float *x, long row, long step,
                    const float *packed, const float *bias, float *y, long ldy, int accumulate) {
    long column = 0;
    if (pair)
        for (; column + CVECTOR_PANEL < out; column += 2 * CVECTOR_PANEL)
            strip(tall, 2, rows, in, x, row, step, packed + column * in, bias ? bias + column : NULL, y + column, ldy,
                  out - column, accumulate);
    for (; column < out; column += CVECTOR_PANEL)
        strip(tall, 1, rows, in, x, row, step, packed + column * in, bias ? bias + column : NULL, y + column, ldy,
              out - column, accumulate);
}

#if defined(__x86_64__)

__attribute__((target("avx512f,avx512vl,fma"))) static void product_512(
    long rows, long out, long in, const float *x, long row, long step, const float *packed, const float *bias, float *y,
    long ldy, int accumulate) {
    product(12, 1, rows, out, in, x, row, step, packed, bias, y, ldy, accumulate);
}

__attribute__((target("avx2,fma"))) static void product_256(
    long rows, long out, long in, const float *x, long row, long step, const float *packed, const float *bias, float *y,
    long ldy, int accumulate) {
    product(6, 0, rows, out, in, x, row, step, packed, bias, y, ldy, accumulate);
}

int cvector_packed_width(void) {
    static int width = 0;
    int known = __atomic_load_n(&width, __ATOMIC_RELAXED);
    if (!known) {
        __builtin_cpu_init();
        known = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq")
                    ? 512
                    : 256;
        __atomic_store_n(&width, known, __ATOMIC_RELAXED);
    }
    return known;
}

#else

int cvector_packed_width(void) { return 128; }

#endif

void cvector_packed_product(long rows, long out, long in, const float *x, long row, long step, const float *packed,
                            const float *bias, float *y, long ldy, int accumulate) {
#if defined(__x86_64__)
    if (cvector_packed_width() == 512)
        product_512(rows, out, in, x, row, step, packed, bias, y, ldy, accumulate);
    else
        product_256(rows, out, in, x, row, step, packed, bias, y, ldy, accumulate);
#else
    product(4, 0, rows, out, in, x, row, step, packed, bias, y, ldy, accumulate);
#endif
}
