/* kernels_ssse3.c -- SSSE3 vocabulary (16-octet vectors), then the shared bodies. */
#include "kernels.h"

#if defined(WSF_X86_64)
#include "lead_positions.h"
#include "short_load.h"
#include <tmmintrin.h> /* outside the region: its functions carry their own target */

typedef __m128i vec;
enum {
    VEC_SIZE = 16,
    WINDOWS = 1,
    VEC_MASKED = 0
};

WSF_TARGET_BEGIN("ssse3")

static WSF_INLINE vec vec_zero(void)
{
    return _mm_setzero_si128();
}

static WSF_INLINE vec vec_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static WSF_INLINE void vec_store(uint8_t *p, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

static WSF_INLINE vec vec_load_short(const uint8_t *p, size_t n)
{
    uint64_t low, high;

    wsf_load_short(p, n, &low, &high);
    return _mm_set_epi64x((long long)high, (long long)low);
}

static WSF_INLINE vec vec_or(vec a, vec b)
{
    return _mm_or_si128(a, b);
}

static WSF_INLINE vec vec_xor(vec a, vec b)
{
    return _mm_xor_si128(a, b);
}

static WSF_INLINE vec vec_dup32(uint32_t x)
{
    return _mm_set1_epi32((int)x);
}

static WSF_INLINE bool vec_is_ascii(vec v)
{
    return _mm_movemask_epi8(v) == 0;
}

static WSF_INLINE bool vec_is_zero(vec v)
{
    return _mm_movemask_epi8(_mm_cmpeq_epi8(v, vec_zero())) == 0xFFFF;
}

static WSF_INLINE vec vec_table(const uint8_t t[16])
{
    return vec_load(t);
}

static WSF_INLINE vec vec_lookup(vec t, vec v)
{
    return _mm_shuffle_epi8(t, _mm_and_si128(v, _mm_set1_epi8(0x0F)));
}

static WSF_INLINE vec vec_lookup_high(vec t, vec v)
{
    return vec_lookup(t, _mm_srli_epi16(v, 4));
}

#define vec_before(v, prev, n) _mm_alignr_epi8(v, prev, 16 - (n))

static WSF_INLINE vec vec_add_faults(vec e, vec a, vec b, vec c, vec before2,
                                     vec before3)
{
    const vec faults = _mm_and_si128(_mm_and_si128(a, b), c);
    const vec third = _mm_subs_epu8(before2, _mm_set1_epi8(0xE0 - 0x80));
    const vec fourth = _mm_subs_epu8(before3, _mm_set1_epi8(0xF0 - 0x80));
    const vec wanted = _mm_and_si128(vec_or(third, fourth), _mm_set1_epi8(-128));

    return vec_or(e, vec_xor(faults, wanted));
}

static WSF_INLINE vec vec_exceeds(vec v, vec limit)
{
    return _mm_subs_epu8(v, limit);
}

static WSF_INLINE vec vec_and(vec a, vec b)
{
    return _mm_and_si128(a, b);
}

static WSF_INLINE vec vec_max(vec a, vec b)
{
    return _mm_max_epu8(a, b);
}

static WSF_INLINE vec vec_add8(vec a, vec b)
{
    return _mm_add_epi8(a, b);
}

static WSF_INLINE vec vec_select(vec m, vec a, vec b)
{
    return vec_or(_mm_and_si128(m, a), _mm_andnot_si128(m, b));
}

static WSF_INLINE vec vec_negative8(vec v)
{
    return _mm_cmpgt_epi8(vec_zero(), v);
}

static WSF_INLINE vec vec_equal8(vec a, vec b)
{
    return _mm_cmpeq_epi8(a, b);
}

static WSF_INLINE vec vec_above16(vec a, vec b)
{
    return _mm_cmpgt_epi16(a, b);
}

static WSF_INLINE vec vec_above32(vec a, vec b)
{
    return _mm_cmpgt_epi32(a, b);
}

#define vec_shl16(v, n) _mm_slli_epi16(v, n)
#define vec_shr32(v, n) _mm_srli_epi32(v, n)

static WSF_INLINE vec vec_shuffle(vec v, vec control)
{
    return _mm_shuffle_epi8(v, control);
}

static WSF_INLINE vec vec_pair(vec v)
{
    return _mm_maddubs_epi16(v, _mm_set1_epi16(0x0140));
}

static WSF_INLINE vec vec_quad(vec v)
{
    return _mm_madd_epi16(vec_pair(v), _mm_set1_epi32(0x00011000));
}

/* Continuations are -128 to -65 as signed octets. */
static WSF_INLINE vec not_continuation(vec v)
{
    return _mm_cmpgt_epi8(v, _mm_set1_epi8(-65));
}

static WSF_INLINE vec vec_count_chars(vec acc, vec v)
{
    return _mm_sub_epi8(acc, not_continuation(v));
}

static WSF_INLINE size_t vec_sum(vec acc)
{
    const vec halves = _mm_sad_epu8(acc, vec_zero());

    return (size_t)_mm_cvtsi128_si32(halves) + (size_t)_mm_extract_epi16(halves, 4);
}

static WSF_INLINE void widen1(uint8_t *dst, vec v)
{
    vec_store(dst, v);
}

static WSF_INLINE void widen2(uint16_t *dst, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)dst, _mm_unpacklo_epi8(v, vec_zero()));
    _mm_storeu_si128((__m128i *)(void *)(dst + 8), _mm_unpackhi_epi8(v, vec_zero()));
}

static WSF_INLINE void half_widen4(uint32_t *dst, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)dst, _mm_unpacklo_epi16(v, vec_zero()));
    _mm_storeu_si128((__m128i *)(void *)(dst + 4), _mm_unpackhi_epi16(v, vec_zero()));
}

static WSF_INLINE void widen4(uint32_t *dst, vec v)
{
    half_widen4(dst, _mm_unpacklo_epi8(v, vec_zero()));
    half_widen4(dst + 8, _mm_unpackhi_epi8(v, vec_zero()));
}

static WSF_INLINE vec window_load(const uint8_t *p)
{
    return vec_load(p);
}

static WSF_INLINE unsigned window_leads(const uint8_t *p)
{
    return (unsigned)_mm_movemask_epi8(not_continuation(vec_load(p))) & 0xFF;
}

static WSF_INLINE vec window_positions(unsigned m)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)&wsf_lead_positions[m]);
}

static WSF_INLINE vec window_twice(vec v)
{
    return _mm_unpacklo_epi8(v, v);
}

static WSF_INLINE vec window_four_times(vec v, int half)
{
    const vec twice = _mm_unpacklo_epi8(v, v);

    return half ? _mm_unpackhi_epi16(twice, twice) : _mm_unpacklo_epi16(twice, twice);
}

/* Not every processor with SSSE3 counts bits. */
static WSF_INLINE size_t window_count(unsigned m)
{
#define TWO(n) n, n + 1, n + 1, n + 2
#define FOUR(n) TWO(n), TWO(n + 1), TWO(n + 1), TWO(n + 2)
#define SIX(n) FOUR(n), FOUR(n + 1), FOUR(n + 1), FOUR(n + 2)
    static const uint8_t bits[256] = {SIX(0), SIX(1), SIX(1), SIX(2)};
#undef TWO
#undef FOUR
#undef SIX
    return bits[m];
}

static WSF_INLINE uint8_t *window_store1(uint8_t *dst, vec v, unsigned m)
{
    _mm_storel_epi64((__m128i *)(void *)dst, v);
    return dst + window_count(m);
}

static WSF_INLINE uint16_t *window_store2(uint16_t *dst, vec v, unsigned m)
{
    _mm_storeu_si128((__m128i *)(void *)dst, v);
    return dst + window_count(m);
}

static WSF_INLINE uint32_t *window_store4(uint32_t *dst, vec low, vec high, unsigned m)
{
    const size_t count = window_count(m);

    _mm_storeu_si128((__m128i *)(void *)dst, low);
    if (count > 4)
        _mm_storeu_si128((__m128i *)(void *)(dst + 4), high);
    return dst + count;
}

#include "../wsf_mask.h"
#define narrow_mask wsf_mask_short_ascii
#include "mask_tpl.h"
#include "transcode_tpl.h"
#include "utf8_tpl.h"

WSF_TARGET_END

const wsf_kernels wsf_kernels_ssse3 = {
    .name = "ssse3",
    .needs = WSF_CPU_SSSE3,
    .mask = mask_kernel,
    .mask_ascii = mask_ascii_kernel,
    .utf8 = utf8_kernel,
    .utf8_measure = measure_kernel,
    .utf8_to_latin1 = latin1_kernel,
    .utf8_to_ucs2 = ucs2_kernel,
    .utf8_to_ucs4 = ucs4_kernel,
};
#endif
