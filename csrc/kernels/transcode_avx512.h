/* transcode_avx512.h -- measuring and transcoding valid UTF-8, for AVX-512 with VBMI2.
 *
 * The way of transcode_tpl.h, with a window of 64 octets: vpcompressb turns the mask of
 * leads into their positions, vpermb brings the octets at and behind each position into
 * a lane of its own. Of a full window only the first 61 octets are taken as leads,
 * since a character may reach three octets further; of the last window all, since there
 * a character has its end. A run of ASCII is only widened. */
#include "utf8_scalar.h"

enum {
    WINDOW = 64,
    WINDOW_STEP = 61, /* so that the last lead's fourth octet is still inside */
    /* As long as this much is left, whole vectors may be stored: what was too much, 34
     * characters of two octets, 31 of three or 15 of four at worst, will be overwritten
     * by the characters behind the window. */
    WINDOW_ROOM = WINDOW_STEP + 3 + 31 * 3,
    RUN = 4 * WINDOW, /* octets in which ASCII is looked for together */
    RUN_ROOM = 3 * WINDOW_STEP + WINDOW_ROOM
};

/* What the loops below want in registers. gcc takes such vectors for so cheap that in a
 * loop with a branch it makes them anew each time, which costs a third: it must not see
 * what they are. */
typedef struct constants {
    vec continuation; /* the highest of them, as signed octets */
    vec low_2, low_4; /* bits that count: of two octets, of four */
    vec third;        /* of the third octet, in 16 bits */
    vec first;        /* of the first, in 16 bits */
    vec top_1, top_2; /* highest first octet of one character, of two, in 16 bits */
    vec times_64, times_4096;
} constants;

static WSF_INLINE vec keep(uint32_t x)
{
    vec v = vec_dup32(x);

#if defined(__GNUC__)
    __asm__("" : "+v"(v));
#endif
    return v;
}

static WSF_INLINE constants constants_new(void)
{
    constants c;

    c.continuation = keep(0xBFBFBFBF);
    c.low_2 = keep(0x3F1F3F1F);
    c.low_4 = keep(0x3F3F3F7F);
    c.third = keep(0x003F003F);
    c.first = keep(0x00FF00FF);
    c.top_1 = keep(0x007F007F);
    c.top_2 = keep(0x00DF00DF);
    c.times_64 = keep(0x01400140);
    c.times_4096 = keep(0x00011000);
    return c;
}

static WSF_INLINE __mmask64 not_continuation(const constants *c, vec v)
{
    return _mm512_cmpgt_epi8_mask(v, c->continuation);
}

static unsigned measure_kernel(const uint8_t *data, size_t len, size_t *chars)
{
    const constants c = constants_new();
    vec highest = vec_zero();
    size_t count = 0, i = 0;

    for (; len - i >= VEC_SIZE; i += VEC_SIZE) {
        const vec v = vec_load(data + i);

        highest = _mm512_max_epu8(highest, v);
        count += (size_t)_mm_popcnt_u64(not_continuation(&c, v));
    }
    if (i < len) {
        const vec v = vec_load_short(data + i, len - i);

        highest = _mm512_max_epu8(highest, v);
        count += (size_t)_mm_popcnt_u64(not_continuation(&c, v) & lanes(len - i));
    }
    *chars = count;
    if (vec_is_ascii(highest))
        return 1;
    if (_mm512_cmpgt_epu8_mask(highest, _mm512_set1_epi8((char)0xC3)) == 0)
        return 2;
    return _mm512_cmpgt_epu8_mask(highest, _mm512_set1_epi8((char)0xEF)) == 0 ? 3 : 4;
}

/* Indices for vpermb. */
static const uint8_t each_once[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
};

static const uint8_t each_twice[64] = {
    0,  0,  1,  1,  2,  2,  3,  3,  4,  4,  5,  5,  6,  6,  7,  7,
    8,  8,  9,  9,  10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15,
    16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23,
    24, 24, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29, 30, 30, 31, 31,
};

static const uint8_t each_four_times[64] = {
    0,  0,  0,  0,  1,  1,  1,  1,  2,  2,  2,  2,  3,  3,  3,  3,
    4,  4,  4,  4,  5,  5,  5,  5,  6,  6,  6,  6,  7,  7,  7,  7,
    8,  8,  8,  8,  9,  9,  9,  9,  10, 10, 10, 10, 11, 11, 11, 11,
    12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15,
};

/* What is in one window: its octets, where characters start in it, how many do. */
typedef struct window {
    vec octets;
    __mmask64 leads;
    size_t count;
} window;

static WSF_INLINE window window_at(const constants *c, const uint8_t *p)
{
    window w;

    w.octets = vec_load(p);
    w.leads = not_continuation(c, w.octets) & lanes(WINDOW_STEP);
    w.count = (size_t)_mm_popcnt_u64(w.leads);
    return w;
}

/* Where the characters start, in the lowest `count` octets. */
static WSF_INLINE vec window_positions(window w)
{
    return _mm512_maskz_compress_epi8(w.leads, vec_load(each_once));
}

/* A window of `left` octets that may be the last: *step says how many it takes. */
static WSF_INLINE window window_near_end(const constants *c, const uint8_t *p,
                                         size_t left, size_t *step)
{
    const size_t taken = left <= WINDOW ? left : WINDOW_STEP;
    window w;

    w.octets = vec_load_short(p, left < WINDOW ? left : WINDOW);
    w.leads = not_continuation(c, w.octets) & lanes(taken);
    w.count = (size_t)_mm_popcnt_u64(w.leads);
    *step = taken;
    return w;
}

/* Is there no character but ASCII in the RUN octets at p? */
static WSF_INLINE bool is_ascii_run(const uint8_t *p)
{
    const vec low = vec_or(vec_load(p), vec_load(p + WINDOW));
    const vec high = vec_or(vec_load(p + 2 * WINDOW), vec_load(p + 3 * WINDOW));

    return vec_is_ascii(vec_or(low, high));
}

/* C2 xx is xx, C3 xx is xx + 0x40. */
static WSF_INLINE vec latin1_of(window w)
{
    const vec next =
        _mm512_alignr_epi8(_mm512_alignr_epi64(vec_zero(), w.octets, 2), w.octets, 1);
    const __mmask64 two = _mm512_movepi8_mask(w.octets);
    const __mmask64 c3 = _mm512_cmpeq_epi8_mask(w.octets, _mm512_set1_epi8((char)0xC3));
    const vec low = _mm512_mask_mov_epi8(w.octets, two, next);
    const vec all = _mm512_mask_add_epi8(low, c3, low, _mm512_set1_epi8(0x40));

    return _mm512_maskz_compress_epi8(w.leads, all);
}

static WSF_INLINE uint8_t *latin1_step(const constants *c, uint8_t *dst,
                                       const uint8_t *p)
{
    const window w = window_at(c, p);

    vec_store(dst, latin1_of(w));
    return dst + w.count;
}

static WSF_INLINE uint8_t *latin1_near_end(const constants *c, uint8_t *dst,
                                           const uint8_t *p, size_t left, size_t *step)
{
    const window w = window_near_end(c, p, left, step);

    _mm512_mask_storeu_epi8(dst, lanes(w.count), latin1_of(w));
    return dst + w.count;
}

static WSF_INLINE void latin1_widen(uint8_t *dst, vec v)
{
    vec_store(dst, v);
}

/* The 32 characters from the one numbered `first` (0 or 32) on, their leads standing at
 * `positions`. */
static WSF_INLINE vec ucs2_of(const constants *c, vec octets, vec positions,
                              uint8_t first)
{
    const vec from =
        _mm512_add_epi8(vec_load(each_twice), vec_dup32(first * 0x01010101u));
    const vec at = _mm512_add_epi8(_mm512_permutexvar_epi8(from, positions),
                                   vec_dup32(0x01000100));
    const vec ab = _mm512_permutexvar_epi8(at, octets); /* first and second octet */
    const vec third =
        _mm512_permutexvar_epi8(_mm512_add_epi8(at, vec_dup32(0x02020202)), octets);
    const vec a = _mm512_and_si512(ab, c->first);
    const vec two = _mm512_maddubs_epi16(_mm512_and_si512(ab, c->low_2), c->times_64);
    const vec three = _mm512_ternarylogic_epi32(_mm512_slli_epi16(two, 6), third,
                                                c->third, 0xF8); /* x | (y & z) */
    const __mmask32 is_one = _mm512_cmple_epu16_mask(a, c->top_1);
    const __mmask32 is_three = _mm512_cmpgt_epu16_mask(a, c->top_2);

    return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(two, is_three, three), is_one,
                                 a);
}

static WSF_INLINE uint16_t *ucs2_step(const constants *c, uint16_t *dst,
                                      const uint8_t *p)
{
    const window w = window_at(c, p);
    const vec at = window_positions(w);

    _mm512_storeu_si512(dst, ucs2_of(c, w.octets, at, 0));
    if (w.count > 32)
        _mm512_storeu_si512(dst + 32, ucs2_of(c, w.octets, at, 32));
    return dst + w.count;
}

static WSF_INLINE uint16_t *ucs2_near_end(const constants *c, uint16_t *dst,
                                          const uint8_t *p, size_t left, size_t *step)
{
    const window w = window_near_end(c, p, left, step);
    const vec at = window_positions(w);
    const __mmask64 used = lanes(w.count);

    _mm512_mask_storeu_epi16(dst, (__mmask32)used, ucs2_of(c, w.octets, at, 0));
    if (w.count > 32)
        _mm512_mask_storeu_epi16(dst + 32, (__mmask32)(used >> 32),
                                 ucs2_of(c, w.octets, at, 32));
    return dst + w.count;
}

static WSF_INLINE void ucs2_widen(uint16_t *dst, vec v)
{
    const __m256i low = _mm512_castsi512_si256(v);
    const __m256i high = _mm512_extracti64x4_epi64(v, 1);

    _mm512_storeu_si512(dst, _mm512_cvtepu8_epi16(low));
    _mm512_storeu_si512(dst + 32, _mm512_cvtepu8_epi16(high));
}

/* The 16 characters from the one numbered `first` on, their leads standing at
 * `positions`. All octets of a lane are put together as if there were four; the high
 * half of the lead then says how far to shift out those that belong to others, and
 * which bits of the lead to drop. */
static WSF_INLINE vec ucs4_of(const constants *c, vec octets, vec positions,
                              uint8_t first)
{
    const vec shifts =
        _mm512_setr_epi32(18, 18, 18, 18, 18, 18, 18, 18, /* 0.. to 7.. */
                          0, 0, 0, 0, 12, 12, 6, 0);      /* C, D, E, F */
    const vec bits = _mm512_setr_epi32(0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F,
                                       0, 0, 0, 0, 0x7FF, 0x7FF, 0xFFFF, 0x1FFFFF);
    const vec from =
        _mm512_add_epi8(vec_load(each_four_times), vec_dup32(first * 0x01010101u));
    const vec at = _mm512_add_epi8(_mm512_permutexvar_epi8(from, positions),
                                   vec_dup32(0x03020100));
    const vec w = _mm512_permutexvar_epi8(at, octets);
    const vec pairs = _mm512_maddubs_epi16(_mm512_and_si512(w, c->low_4), c->times_64);
    const vec all = _mm512_madd_epi16(pairs, c->times_4096);
    const vec high = _mm512_srli_epi32(w, 4); /* vpermd looks at the lowest four bits */

    return _mm512_and_si512(
        _mm512_srlv_epi32(all, _mm512_permutexvar_epi32(high, shifts)),
        _mm512_permutexvar_epi32(high, bits));
}

static WSF_INLINE uint32_t *ucs4_step(const constants *c, uint32_t *dst,
                                      const uint8_t *p)
{
    const window w = window_at(c, p);
    const vec at = window_positions(w);

    _mm512_storeu_si512(dst, ucs4_of(c, w.octets, at, 0));
    if (w.count > 16)
        _mm512_storeu_si512(dst + 16, ucs4_of(c, w.octets, at, 16));
    if (w.count > 32)
        _mm512_storeu_si512(dst + 32, ucs4_of(c, w.octets, at, 32));
    if (w.count > 48)
        _mm512_storeu_si512(dst + 48, ucs4_of(c, w.octets, at, 48));
    return dst + w.count;
}

static WSF_INLINE uint32_t *ucs4_near_end(const constants *c, uint32_t *dst,
                                          const uint8_t *p, size_t left, size_t *step)
{
    const window w = window_near_end(c, p, left, step);
    const vec at = window_positions(w);
    const __mmask64 used = lanes(w.count);

    _mm512_mask_storeu_epi32(dst, (__mmask16)used, ucs4_of(c, w.octets, at, 0));
    if (w.count > 16)
        _mm512_mask_storeu_epi32(dst + 16, (__mmask16)(used >> 16),
                                 ucs4_of(c, w.octets, at, 16));
    if (w.count > 32)
        _mm512_mask_storeu_epi32(dst + 32, (__mmask16)(used >> 32),
                                 ucs4_of(c, w.octets, at, 32));
    if (w.count > 48)
        _mm512_mask_storeu_epi32(dst + 48, (__mmask16)(used >> 48),
                                 ucs4_of(c, w.octets, at, 48));
    return dst + w.count;
}

static WSF_INLINE void ucs4_widen(uint32_t *dst, vec v)
{
    const __m128i first = _mm512_castsi512_si128(v);
    const __m128i second = _mm512_extracti32x4_epi32(v, 1);
    const __m128i third = _mm512_extracti32x4_epi32(v, 2);
    const __m128i fourth = _mm512_extracti32x4_epi32(v, 3);

    _mm512_storeu_si512(dst, _mm512_cvtepu8_epi32(first));
    _mm512_storeu_si512(dst + 16, _mm512_cvtepu8_epi32(second));
    _mm512_storeu_si512(dst + 32, _mm512_cvtepu8_epi32(third));
    _mm512_storeu_si512(dst + 48, _mm512_cvtepu8_epi32(fourth));
}

/* Runs first: a text that has none pays for the look, once in four windows, where a
 * branch in each would cost a fifth. Then what is left in windows. */
#define TRANSCODE_KERNEL(name, type)                                                   \
    static void name##_kernel(type *dst, const uint8_t *data, size_t len)              \
    {                                                                                  \
        const constants c = constants_new();                                           \
        size_t i = 0, step;                                                            \
                                                                                       \
        while (len - i >= RUN_ROOM) {                                                  \
            if (is_ascii_run(data + i)) {                                              \
                for (size_t j = 0; j < RUN; j += WINDOW)                               \
                    name##_widen(dst + j, vec_load(data + i + j));                     \
                dst += RUN;                                                            \
                i += RUN;                                                              \
            } else {                                                                   \
                for (size_t j = 0; j < 4 * WINDOW_STEP; j += WINDOW_STEP)              \
                    dst = name##_step(&c, dst, data + i + j);                          \
                i += 4 * WINDOW_STEP;                                                  \
            }                                                                          \
        }                                                                              \
        for (; len - i >= WINDOW_ROOM; i += WINDOW_STEP)                               \
            dst = name##_step(&c, dst, data + i);                                      \
        for (; i < len; i += step)                                                     \
            dst = name##_near_end(&c, dst, data + i, len - i, &step);                  \
    }

TRANSCODE_KERNEL(latin1, uint8_t)
TRANSCODE_KERNEL(ucs2, uint16_t)
TRANSCODE_KERNEL(ucs4, uint32_t)
