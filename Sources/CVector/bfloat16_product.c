#include "BFloat16Product.h"
#include "panels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

typedef uint32_t u32x16 __attribute__((ext_vector_type(16)));
typedef uint32_t u32x16_unaligned __attribute__((ext_vector_type(16), aligned(4)));
typedef uint16_t u16x16 __attribute__((ext_vector_type(16)));
typedef uint16_t u16x16_unaligned __attribute__((ext_vector_type(16), aligned(2)));

#define PAIRS(in) (((in) + 1) / 2)

long cvector_bf16_count(long out, long in) {
    return (out + CVECTOR_PANEL - 1) / CVECTOR_PANEL * CVECTOR_PANEL * PAIRS(in) * 2;
}

long cvector_bf16_room(long rows, long in) { return rows * PAIRS(in) * 2 * (long)sizeof(float); }

// Bits of float32 numbers rounded to bfloat16, in the upper halves.
INLINE void round16(const float *from, u32x16 *to) {
    u32x16 bits = *(const u32x16_unaligned *)from;
    u32x16 result = (bits + ((bits >> 16) & 1) + 0x7FFF) & 0xFFFF0000u;
    // A number that is no number stays one; what has no exponent counts as zero.
    result = (bits & 0x7FFFFFFFu) > 0x7F800000u ? (bits | 0x00400000u) & 0xFFFF0000u : result;
    *to = (bits & 0x7F800000u) == 0 ? bits & 0x80000000u : result;
}

INLINE uint32_t rounded(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    if ((bits & 0x7F800000u) == 0) return bits & 0x80000000u;
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (bits | 0x00400000u) & 0xFFFF0000u;
    return (bits + ((bits >> 16) & 1) + 0x7FFF) & 0xFFFF0000u;
}

void cvector_bf16_pack(long out, long in, const float *w, long stride_out, long stride_in, uint16_t *packed) {
    long pairs = PAIRS(in);
    for (long first = 0; first < out; first += CVECTOR_PANEL, packed += 2 * CVECTOR_PANEL * pairs) {
        long width = out - first < CVECTOR_PANEL ? out - first : CVECTOR_PANEL;
        const float *from = w + first * stride_out;
        if (width < CVECTOR_PANEL || in % 2)
            for (long i = 0; i < 2 * CVECTOR_PANEL * pairs; i++) packed[i] = 0;
        // Eight inner indices at a time, so that neither side leaves the cache lines it touches.
        for (long begin = 0; begin < in; begin += 8) {
            long end = begin + 8 < in ? begin + 8 : in;
            for (long c = 0; c < width; c++)
                for (long i = begin; i < end; i++)
                    packed[2 * (CVECTOR_PANEL * (i / 2) + c) + i % 2] =
                        (uint16_t)(rounded(from[c * stride_out + i * stride_in]) >> 16);
        }
    }
}

// Rows of x rounded, as float32 one after another; rows of odd length get a zero behind them.
INLINE void round_to_floats(long rows, long in, const float *x, long ldx, float *to) {
    long stride = 2 * PAIRS(in);
    for (long r = 0; r < rows; r++, x += ldx, to += stride) {
        long i = 0;
        for (; i + 16 <= in; i += 16) {
            u32x16 bits;
            round16(x + i, &bits);
            *(u32x16_unaligned *)(to + i) = bits;
        }
        for (; i < in; i++) {
            uint32_t bits = rounded(x[i]);
            __builtin_memcpy(to + i, &bits, 4);
        }
        if (in % 2) to[in] = 0;
    }
}

// Stores the sums of a tile of `height` rows and `panels` panels. The copy leaves the sums themselves in registers.
#define STORE_TILE \
    UNROLL for (int r = 0; r < height; r++) UNROLL for (int p = 0; p < panels; p++) { \
        long shift = CVECTOR_PANEL * p; \
        f32x16 sum = (f32x16)sums[r][p]; \
        store((const float *)&sum, bias ? bias + shift : NULL, y + r * ldy + shift, width - shift, accumulate); \
    }

#define TILE_ARGUMENTS(row) \
    const int height, long pairs, const row *x, const uint32_t *packed, const float *bias, float *y, long ldy, \
        long width, int accumulate

// All rows of the panels from `column` on, a tile at a time; `line` is the length of a row of `from`.
#define STRIP(tile, tallest, line) \
    for (long r = 0, height; r < rows; r += height) { \
        long left = rows - r; \
        height = left >= tallest ? tallest : left >= 4 ? 4 : left >= 2 ? 2 : 1; \
        const float *shift = bias ? bias + column : NULL; \
        if (height == tallest) \
            tile(tallest, pairs, from + r * line, packed + column * pairs, shift, y + r * ldy + column, ldy, \
                 out - column, accumulate); \
        else if (height == 4) \
            tile(4, pairs, from + r * line, packed + column * pairs, shift, y + r * ldy + column, ldy, out - column, \
                 accumulate); \
        else if (height == 2) \
            tile(2, pairs, from + r * line, packed + column * pairs, shift, y + r * ldy + column, ldy, out - column, \
                 accumulate); \
        else \
            tile(1, pairs, from + r * line, packed + column * pairs, shift, y + r * ldy + column, ldy, out - column, \
                 accumulate); \
    }

#define ARGUMENTS \
    long rows, long out, long in, const float *x, long ldx, const uint32_t *packed, const float *bias, float *y, \
        long ldy, int accumulate, void *room

// One panel; `height` is a constant after inlining, so that the sums stay in registers.
INLINE void tile(TILE_ARGUMENTS(float)) {
    enum { panels = 1 };
    f32x16 sums[4][panels];
    UNROLL for (int r = 0; r < height; r++) sums[r][0] = (f32x16)(0.0f);
    for (long i = 0; i < pairs; i++) {
        u32x16 w = *(const u32x16_unaligned *)(packed + CVECTOR_PANEL * i);
        f32x16 odd = (f32x16)(w & 0xFFFF0000u), even = (f32x16)(w << 16);
        UNROLL for (int r = 0; r < height; r++)
            sums[r][0] = __builtin_elementwise_fma((f32x16)(x[2 * (r * pairs + i) + 1]), odd, sums[r][0]);
        UNROLL for (int r = 0; r < height; r++)
            sums[r][0] = __builtin_elementwise_fma((f32x16)(x[2 * (r * pairs + i)]), even, sums[r][0]);
    }
    STORE_TILE
}

INLINE void product(ARGUMENTS) {
    long pairs = PAIRS(in);
    round_to_floats(rows, in, x, ldx, room);
    const float *from = room;
    for (long column = 0; column < out; column += CVECTOR_PANEL) STRIP(tile, 4, 2 * pairs)
}

static void product_portable(ARGUMENTS) {
    product(rows, out, in, x, ldx, packed, bias, y, ldy, accumulate, room);
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static void product_256(ARGUMENTS) {
    product(rows, out, in, x, ldx, packed, bias, y, ldy, accumulate, room);
}

#define WIDE "avx512f,avx512vl,avx512bw,fma"
#define WIDE_INLINE static inline __attribute__((always_inline, target(WIDE)))
#define DOT_INLINE static inline __attribute__((always_inline, target(WIDE ",avx512bf16")))

WIDE_INLINE void wide_tile(TILE_ARGUMENTS(float)) {
    // Taller tiles have no registers left for what the compiler loads ahead.
    enum { panels = 2 };
    f32x16 sums[8][panels];
    UNROLL for (int r = 0; r < height; r++) UNROLL for (int p = 0; p < panels; p++) sums[r][p] = (f32x16)(0.0f);
    for (long i = 0; i < pairs; i++) {
        f32x16 odd[panels], even[panels];
        UNROLL for (int p = 0; p < panels; p++) {
            u32x16 w = *(const u32x16_unaligned *)(packed + CVECTOR_PANEL * (p * pairs + i));
            odd[p] = (f32x16)(w & 0xFFFF0000u), even[p] = (f32x16)(w << 16);
        }
        UNROLL for (int r = 0; r < height; r++) {
            f32x16 second = (f32x16)(x[2 * (r * pairs + i) + 1]), first = (f32x16)(x[2 * (r * pairs + i)]);
            UNROLL for (int p = 0; p < panels; p++) sums[r][p] = __builtin_elementwise_fma(second, odd[p], sums[r][p]);
            UNROLL for (int p = 0; p < panels; p++) sums[r][p] = __builtin_elementwise_fma(first, even[p], sums[r][p]);
        }
    }
    STORE_TILE
}

__attribute__((target(WIDE))) static void product_512(ARGUMENTS) {
    long pairs = PAIRS(in), column = 0;
    round_to_floats(rows, in, x, ldx, room);
    const float *from = room;
    for (; column + CVECTOR_PANEL < out; column += 2 * CVECTOR_PANEL) STRIP(wide_tile, 8, 2 * pairs)
    if (column < out) STRIP(tile, 4, 2 * pairs)
}

DOT_INLINE void dot_tile(TILE_ARGUMENTS(uint32_t)) {
    enum { panels = 2 };
    __m512 sums[12][panels];
    UNROLL for (int r = 0; r < height; r++) UNROLL for (int p = 0; p < panels; p++) sums[r][p] = _mm512_setzero_ps();
    for (long i = 0; i < pairs; i++) {
        __m512bh w[panels];
        UNROLL for (int p = 0; p < panels; p++)
            w[p] = (__m512bh)_mm512_loadu_si512(packed + CVECTOR_PANEL * (p * pairs + i));
        UNROLL for (int r = 0; r < height; r++) {
            __m512bh value = (__m512bh)_mm512_set1_epi32((int)x[r * pairs + i]);
            UNROLL for (int p = 0; p < panels; p++) sums[r][p] = _mm512_dpbf16_ps(sums[r][p], value, w[p]);
        }
    }
    STORE_TILE
}

__attribute__((target(WIDE ",avx512bf16"))) static void product_dot(ARGUMENTS) {
    long pairs = PAIRS(in), column = 0;
    // The last panel, where it has no neighbour, goes by multiply-adds, which read floats.
    if ((out + CVECTOR_PANEL - 1) / CVECTOR_PANEL % 2) {
        column = (out - 1) / CVECTOR_PANEL * CVECTOR_PANEL;
        round_to_floats(rows, in, x, ldx, room);
        const float *from = room;
        STRIP(tile, 4, 2 * pairs)
    }
    uint16_t *to = room;
    for (long r = 0; r < rows; r++, to += 2 * pairs) {
        const float *line = x + r * ldx;
        long i = 0;
        for (; i + 16 <= in; i += 16) {
            u32x16 bits;
            round16(line + i, &bits);
            *(u16x16_unaligned *)(to + i) = __builtin_convertvector(bits >> 16, u16x16);
        }
        for (; i < in; i++) to[i] = (uint16_t)(rounded(line[i]) >> 16);
        if (in % 2) to[in] = 0;
    }
    const uint32_t *from = room;
    for (column = 0; column + CVECTOR_PANEL < out; column += 2 * CVECTOR_PANEL) STRIP(dot_tile, 12, pairs)
}

// Leaf 7, sub-leaf 1, bit 5 of EAX; the vendor string is in EBX, EDX, ECX of leaf 0.
static int has_dot(void) {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx512bw") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5);
}

static int is_intel(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx && d == signature_INTEL_edx &&
           c == signature_INTEL_ecx;
}

int cvector_bf16_has(enum cvector_bf16_kernel kernel) {
    __builtin_cpu_init();
    switch (kernel) {
    case CVECTOR_BF16_BEST:
    case CVECTOR_BF16_PORTABLE: return 1;
    case CVECTOR_BF16_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CVECTOR_BF16_AVX512: return cvector_packed_width() == 512 && __builtin_cpu_supports("avx512bw");
    case CVECTOR_BF16_DOT: return cvector_packed_width() == 512 && has_dot();
    }
    return 0;
}

enum cvector_bf16_kernel cvector_bf16_best(void) {
    static int best = 0;
    int known = __atomic_load_n(&best, __ATOMIC_RELAXED);
    if (!known) {
        // Intel's cores begin one VDPBF16PS in two cycles, but four fused multiply-adds (measured on family 6, model
        // 207), so that these do the same work in half the time; AMD's, by published tables, begin as many of either.
        known = cvector_bf16_has(CVECTOR_BF16_DOT) && !is_intel() ? CVECTOR_BF16_DOT
                : cvector_bf16_has(CVECTOR_BF16_AVX512)           ? CVECTOR_BF16_AVX512
                : cvector_bf16_has(CVECTOR_BF16_AVX2)             ? CVECTOR_BF16_AVX2
                                                                  : CVECTOR_BF16_PORTABLE;
        __atomic_store_n(&best, known, __ATOMIC_RELAXED);
    }
    return (enum cvector_bf16_kernel)known;
}

#else

int cvector_bf16_has(enum cvector_bf16_kernel kernel) {
    return kernel == CVECTOR_BF16_BEST || kernel == CVECTOR_BF16_PORTABLE;
}

enum cvector_bf16_kernel cvector_bf16_best(void) { return CVECTOR_BF16_PORTABLE; }

#endif

void cvector_bf16_product(enum cvector_bf16_kernel kernel, long rows, long out, long in, const float *x, long ldx,
                          const uint16_t *packed, const float *bias, float *y, long ldy, int accumulate, void *room) {
    if (kernel == CVECTOR_BF16_BEST) kernel = cvector_bf16_best();
    // Panels are 64 bytes wide and the memory is aligned to that.
    const uint32_t *pairs = (const uint32_t *)(const void *)packed;
#if defined(__x86_64__)
    switch (cvector_bf16_has(kernel) ? kernel : CVECTOR_BF16_PORTABLE) {
    case CVECTOR_BF16_DOT: product_dot(rows, out, in, x, ldx, pairs, bias, y, ldy, accumulate, room); return;
    case CVECTOR_BF16_AVX512: product_512(rows, out, in, x, ldx, pairs, bias, y, ldy, accumulate, room); return;
    case CVECTOR_BF16_AVX2: product_256(rows, out, in, x, ldx, pairs, bias, y, ldy, accumulate, room); return;
    default: break;
    }
#endif
    product_portable(rows, out, in, x, ldx, pairs, bias, y, ldy, accumulate, room);
}
