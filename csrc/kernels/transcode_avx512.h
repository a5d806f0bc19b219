/* transcode_avx512.h -- measuring and transcoding valid UTF-8, for AVX-512 with VBMI2.
 *
 * The way of transcode_tpl.h, with a window of 64 octets: vpcompressb turns the mask of
 * leads into their positions, vpermb brings the octets at and behind each position into
 * a lane of its own. Of a full window only the first 61 octets are taken as leads,
 * since a character may reach three octets further; of the last window all, since there
 * a character has its end. */
#include "utf8_scalar.h"

enum {
    WINDOW = 64,
    WINDOW_STEP = 61, /* so that the last lead's fourth octet is still inside */
    /* As long as this much is left, whole vectors may be stored: what was too much, 34
     * characters of two octets, 31 of three or 15 of four at worst, will be overwritten
     * by the characters behind the window. */
    WINDOW_ROOM = WINDOW_STEP + 3 + 31 * 3
};

static WSF_INLINE __mmask64 not_continuation(vec v)
{
    return _mm512_cmpgt_epi8_mask(v, _mm512_set1_epi8(-65));
}

static unsigned measure_kernel(const uint8_t *data, size_t len, size_t *chars)
{
    vec highest = vec_zero();
    size_t count = 0, i = 0;

    for (; len - i >= VEC_SIZE; i += VEC_SIZE) {
        const vec v = vec_load(data + i);

        highest = _mm512_max_epu8(highest, v);
        count += (size_t)_mm_popcnt_u64(not_continuation(v));
    }
    if (i < len) {
        const vec v = vec_load_short(data + i, len - i);

        highest = _mm512_max_epu8(highest, v);
        count += (size_t)_mm_popcnt_u64(not_continuation(v) & lanes(len - i));
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

static WSF_INLINE window window_at(const uint8_t *p)
{
    window w;

    w.octets = vec_load(p);
    w.leads = not_continuation(w.octets) & lanes(WINDOW_STEP);
    w.count = (size_t)_mm_popcnt_u64(w.leads);
    return w;
}

/* The same for `left` octets that may be the last: *step says how many it takes. */
static WSF_INLINE window window_near_end(const uint8_t *p, size_t left, size_t *step)
{
    const size_t taken = left <= WINDOW ? left : WINDOW_STEP;
    window w;

    w.octets = vec_load_short(p, left < WINDOW ? left : WINDOW);
    w.leads = not_continuation(w.octets) & lanes(taken);
    w.count = (size_t)_mm_popcnt_u64(w.leads);
    *step = taken;
    return w;
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

static void latin1_kernel(uint8_t *dst, const uint8_t *data, size_t len)
{
    size_t i = 0, step;

    for (; len - i >= WINDOW_ROOM; i += WINDOW_STEP) {
        const window w = window_at(data + i);

        vec_store(dst, latin1_of(w));
        dst += w.count;
    }
    for (; i < len; i += step) {
        const window w = window_near_end(data + i, len - i, &step);

        _mm512_mask_storeu_epi8(dst, lanes(w.count), latin1_of(w));
        dst += w.count;
    }
}

/* The 32 characters from the one numbered `first` (0 or 32) on, their leads standing at
 * `positions`. */
static WSF_INLINE vec ucs2_of(vec octets, vec positions, uint8_t first)
{
    const vec from =
        _mm512_add_epi8(vec_load(each_twice), vec_dup32(first * 0x01010101u));
    const vec at = _mm512_add_epi8(_mm512_permutexvar_epi8(from, positions),
                                   vec_dup32(0x01000100));
    const vec ab = _mm512_permutexvar_epi8(at, octets); /* first and second octet */
    const vec c =
        _mm512_permutexvar_epi8(_mm512_add_epi8(at, vec_dup32(0x02020202)), octets);
    const vec a = _mm512_and_si512(ab, vec_dup32(0x00FF00FF));
    const vec two = _mm512_maddubs_epi16(_mm512_and_si512(ab, vec_dup32(0x3F1F3F1F)),
                                         vec_dup32(0x01400140));
    const vec three = _mm512_ternarylogic_epi32(
        _mm512_slli_epi16(two, 6), c, vec_dup32(0x003F003F), 0xF8); /* x | (y & z) */
    const __mmask32 is_one = _mm512_cmplt_epu16_mask(a, vec_dup32(0x00800080));
    const __mmask32 is_three = _mm512_cmpgt_epu16_mask(a, vec_dup32(0x00DF00DF));

    return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(two, is_three, three), is_one,
                                 a);
}

static void ucs2_kernel(uint16_t *dst, const uint8_t *data, size_t len)
{
    const vec n = vec_load(each_once);
    size_t i = 0, step;

    for (; len - i >= WINDOW_ROOM; i += WINDOW_STEP) {
        const window w = window_at(data + i);
        const vec at = _mm512_maskz_compress_epi8(w.leads, n);

        _mm512_storeu_si512(dst, ucs2_of(w.octets, at, 0));
        if (w.count > 32)
            _mm512_storeu_si512(dst + 32, ucs2_of(w.octets, at, 32));
        dst += w.count;
    }
    for (; i < len; i += step) {
        const window w = window_near_end(data + i, len - i, &step);
        const vec at = _mm512_maskz_compress_epi8(w.leads, n);
        const __mmask64 used = lanes(w.count);

        _mm512_mask_storeu_epi16(dst, (__mmask32)used, ucs2_of(w.octets, at, 0));
        if (w.count > 32)
            _mm512_mask_storeu_epi16(dst + 32, (__mmask32)(used >> 32),
                                     ucs2_of(w.octets, at, 32));
        dst += w.count;
    }
}

/* The 16 characters from the one numbered `first` on, their leads standing at
 * `positions`. All octets of a lane are put together as if there were four; the high
 * half of the lead then says how far to shift out those that belong to others, and
 * which bits of the lead to drop. */
static WSF_INLINE vec ucs4_of(vec octets, vec positions, uint8_t first)
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
    const vec pairs = _mm512_maddubs_epi16(_mm512_and_si512(w, vec_dup32(0x3F3F3F7F)),
                                           vec_dup32(0x01400140));
    const vec all = _mm512_madd_epi16(pairs, vec_dup32(0x00011000));
    const vec high = _mm512_srli_epi32(w, 4); /* vpermd looks at the lowest four bits */

    return _mm512_and_si512(
        _mm512_srlv_epi32(all, _mm512_permutexvar_epi32(high, shifts)),
        _mm512_permutexvar_epi32(high, bits));
}

/* The characters of window w, 16 at a time. */
#define UCS4_OF_WINDOW(store)                                                          \
    do {                                                                               \
        const vec at = _mm512_maskz_compress_epi8(w.leads, n);                         \
                                                                                       \
        store(0, ucs4_of(w.octets, at, 0));                                            \
        if (w.count > 16)                                                              \
            store(16, ucs4_of(w.octets, at, 16));                                      \
        if (w.count > 32)                                                              \
            store(32, ucs4_of(w.octets, at, 32));                                      \
        if (w.count > 48)                                                              \
            store(48, ucs4_of(w.octets, at, 48));                                      \
    } while (0)

static void ucs4_kernel(uint32_t *dst, const uint8_t *data, size_t len)
{
    const vec n = vec_load(each_once);
    size_t i = 0, step;

#define STORE_ALL(at, v) _mm512_storeu_si512(dst + (at), v)
    for (; len - i >= WINDOW_ROOM; i += WINDOW_STEP) {
        const window w = window_at(data + i);

        UCS4_OF_WINDOW(STORE_ALL);
        dst += w.count;
    }
#undef STORE_ALL
#define STORE_USED(at, v)                                                              \
    _mm512_mask_storeu_epi32(dst + (at), (__mmask16)(lanes(w.count) >> (at)), v)
    for (; i < len; i += step) {
        const window w = window_near_end(data + i, len - i, &step);

        UCS4_OF_WINDOW(STORE_USED);
        dst += w.count;
    }
#undef STORE_USED
}
#undef UCS4_OF_WINDOW
