/* kernels_avx2.c -- AVX2 vocabulary (32-octet vectors), then the shared bodies. */
#include "kernels.h"

#if defined(WSF_X86_64)
#include "lead_positions.h"
#include "short_load.h"
#include <immintrin.h> /* outside the region: its functions carry their own target */

typedef __m256i vec;
enum {
    VEC_SIZE = 32,
    WINDOWS = 2,
    VEC_MASKED = 0
};

WSF_TARGET_BEGIN("avx2,bmi,bmi2,lzcnt,popcnt")

static WSF_INLINE vec vec_zero(void)
{
    return _mm256_setzero_si256();
}

static WSF_INLINE vec vec_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static WSF_INLINE void vec_store(uint8_t *p, vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

static WSF_INLINE __m128i half_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static WSF_INLINE vec vec_load_short(const uint8_t *p, size_t n)
{
    /* pshufb control: read from index k on it shifts down by k octets, 0x80 being zero
     */
    static const uint8_t down[32] = {
        0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
        11,   12,   13,   14,   15,   0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    };
    uint64_t low, high;

    if (n >= 16) {
        const __m128i last = half_load(p + n - 16);

        return _mm256_set_m128i(_mm_shuffle_epi8(last, half_load(down + (32 - n) % 32)),
                                half_load(p));
    }
    wsf_load_short(p, n, &low, &high);
    return _mm256_set_epi64x(0, 0, (long long)high, (long long)low);
}

static WSF_INLINE vec vec_or(vec a, vec b)
{
    return _mm256_or_si256(a, b);
}

static WSF_INLINE vec vec_xor(vec a, vec b)
{
    return _mm256_xor_si256(a, b);
}

static WSF_INLINE vec vec_dup32(uint32_t x)
{
    return _mm256_set1_epi32((int)x);
}

static WSF_INLINE bool vec_is_ascii(vec v)
{
    return _mm256_movemask_epi8(v) == 0;
}

static WSF_INLINE bool vec_is_zero(vec v)
{
    return _mm256_testz_si256(v, v) != 0;
}

static WSF_INLINE vec vec_table(const uint8_t t[16])
{
    return _mm256_broadcastsi128_si256(half_load(t));
}

static WSF_INLINE vec vec_lookup(vec t, vec v)
{
    return _mm256_shuffle_epi8(t, _mm256_and_si256(v, _mm256_set1_epi8(0x0F)));
}

static WSF_INLINE vec vec_lookup_high(vec t, vec v)
{
    return vec_lookup(t, _mm256_srli_epi16(v, 4));
}

/* Within each 128-bit lane, so the lane before is brought alongside first. */
#define vec_before(v, prev, n)                                                         \
    _mm256_alignr_epi8(v, _mm256_permute2x128_si256(prev, v, 0x21), 16 - (n))

static WSF_INLINE vec vec_add_faults(vec e, vec a, vec b, vec c, vec before2,
                                     vec before3)
{
    const vec faults = _mm256_and_si256(_mm256_and_si256(a, b), c);
    const vec third = _mm256_subs_epu8(before2, _mm256_set1_epi8(0xE0 - 0x80));
    const vec fourth = _mm256_subs_epu8(before3, _mm256_set1_epi8(0xF0 - 0x80));
    const vec wanted = _mm256_and_si256(vec_or(third, fourth), _mm256_set1_epi8(-128));

    return vec_or(e, vec_xor(faults, wanted));
}

static WSF_INLINE vec vec_exceeds(vec v, vec limit)
{
    return _mm256_subs_epu8(v, limit);
}

static WSF_INLINE vec vec_and(vec a, vec b)
{
    return _mm256_and_si256(a, b);
}

static WSF_INLINE vec vec_max(vec a, vec b)
{
    return _mm256_max_epu8(a, b);
}

static WSF_INLINE vec vec_add8(vec a, vec b)
{
    return _mm256_add_epi8(a, b);
}

static WSF_INLINE vec vec_select(vec m, vec a, vec b)
{
    return _mm256_blendv_epi8(b, a, m);
}

static WSF_INLINE vec vec_negative8(vec v)
{
    return v; /* vec_select looks at the highest bit alone */
}

static WSF_INLINE vec vec_equal8(vec a, vec b)
{
    return _mm256_cmpeq_epi8(a, b);
}

static WSF_INLINE vec vec_above16(vec a, vec b)
{
    return _mm256_cmpgt_epi16(a, b);
}

static WSF_INLINE vec vec_above32(vec a, vec b)
{
    return _mm256_cmpgt_epi32(a, b);
}

#define vec_shl16(v, n) _mm256_slli_epi16(v, n)
#define vec_shr32(v, n) _mm256_srli_epi32(v, n)

static WSF_INLINE vec vec_shuffle(vec v, vec control)
{
    return _mm256_shuffle_epi8(v, control);
}

static WSF_INLINE vec vec_pair(vec v)
{
    return _mm256_maddubs_epi16(v, _mm256_set1_epi16(0x0140));
}

static WSF_INLINE vec vec_quad(vec v)
{
    return _mm256_madd_epi16(vec_pair(v), _mm256_set1_epi32(0x00011000));
}

/* Continuations are -128 to -65 as signed octets. */
static WSF_INLINE vec vec_count_chars(vec acc, vec v)
{
    return _mm256_sub_epi8(acc, _mm256_cmpgt_epi8(v, _mm256_set1_epi8(-65)));
}

static WSF_INLINE size_t vec_sum(vec acc)
{
    const vec quarters = _mm256_sad_epu8(acc, vec_zero());
    const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(quarters),
                                         _mm256_extracti128_si256(quarters, 1));

    return (size_t)_mm_cvtsi128_si32(halves) + (size_t)_mm_extract_epi16(halves, 4);
}

static WSF_INLINE void widen1(uint8_t *dst, vec v)
{
    vec_store(dst, v);
}

static WSF_INLINE void widen2(uint16_t *dst, vec v)
{
    const vec low = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(v));
    const vec high = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(v, 1));

    _mm256_storeu_si256((__m256i *)(void *)dst, low);
    _mm256_storeu_si256((__m256i *)(void *)(dst + 16), high);
}

static WSF_INLINE void half_widen4(uint32_t *dst, __m128i v)
{
    const vec low = _mm256_cvtepu8_epi32(v);
    const vec high = _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8));

    _mm256_storeu_si256((__m256i *)(void *)dst, low);
    _mm256_storeu_si256((__m256i *)(void *)(dst + 8), high);
}

static WSF_INLINE void widen4(uint32_t *dst, vec v)
{
    half_widen4(dst, _mm256_castsi256_si128(v));
    half_widen4(dst + 16, _mm256_extracti128_si256(v, 1));
}

static WSF_INLINE vec window_load(const uint8_t *p)
{
    return _mm256_set_m128i(half_load(p + 8), half_load(p));
}

static WSF_INLINE unsigned window_leads(const uint8_t *p)
{
    return (unsigned)_mm_movemask_epi8(
        _mm_cmpgt_epi8(half_load(p), _mm_set1_epi8(-65)));
}

static WSF_INLINE vec window_positions(unsigned m)
{
    const uint64_t *const low = &wsf_lead_positions[m & 0xFF];
    const uint64_t *const high = &wsf_lead_positions[m >> 8];

    return _mm256_set_m128i(_mm_loadl_epi64((const __m128i *)(const void *)high),
                            _mm_loadl_epi64((const __m128i *)(const void *)low));
}

static WSF_INLINE vec window_twice(vec v)
{
    return _mm256_unpacklo_epi8(v, v);
}

static WSF_INLINE vec window_four_times(vec v, int half)
{
    const vec twice = _mm256_unpacklo_epi8(v, v);

    return half ? _mm256_unpackhi_epi16(twice, twice)
                : _mm256_unpacklo_epi16(twice, twice);
}

static WSF_INLINE size_t count_bits(unsigned m)
{
    return (size_t)_mm_popcnt_u32(m);
}

static WSF_INLINE uint8_t *window_store1(uint8_t *dst, vec v, unsigned m)
{
    const __m128i second = _mm256_extracti128_si256(v, 1);
    uint8_t *const behind_first = dst + count_bits(m & 0xFF);

    _mm_storel_epi64((__m128i *)(void *)dst, _mm256_castsi256_si128(v));
    _mm_storel_epi64((__m128i *)(void *)behind_first, second);
    return dst + count_bits(m);
}

static WSF_INLINE uint16_t *window_store2(uint16_t *dst, vec v, unsigned m)
{
    const __m128i second = _mm256_extracti128_si256(v, 1);
    uint16_t *const behind_first = dst + count_bits(m & 0xFF);

    _mm_storeu_si128((__m128i *)(void *)dst, _mm256_castsi256_si128(v));
    _mm_storeu_si128((__m128i *)(void *)behind_first, second);
    return dst + count_bits(m);
}

static WSF_INLINE void half_store4(uint32_t *dst, __m128i low, __m128i high,
                                   size_t count)
{
    _mm_storeu_si128((__m128i *)(void *)dst, low);
    if (count > 4)
        _mm_storeu_si128((__m128i *)(void *)(dst + 4), high);
}

static WSF_INLINE uint32_t *window_store4(uint32_t *dst, vec low, vec high, unsigned m)
{
    const size_t first = count_bits(m & 0xFF), second = count_bits(m >> 8);

    half_store4(dst, _mm256_castsi256_si128(low), _mm256_castsi256_si128(high), first);
    half_store4(dst + first, _mm256_extracti128_si256(low, 1),
                _mm256_extracti128_si256(high, 1), second);
    return dst + first + second;
}

#include "../wsf_mask.h"

/* 16 to 31 octets as two halves that overlap, both loaded before either is stored. */
static WSF_INLINE bool narrow_mask(uint8_t *dst, const uint8_t *src, size_t len,
                                   uint32_t key)
{
    uint8_t key_b[4];
    uint32_t last_key;
    __m128i first, last;

    if (len < 16)
        return wsf_mask_short_ascii(dst, src, len, key);
    memcpy(key_b, &key, 4);
    last_key = wsf_mask_key(key_b, len);
    first = _mm_xor_si128(half_load(src), _mm_set1_epi32((int)key));
    last = _mm_xor_si128(half_load(src + len - 16), _mm_set1_epi32((int)last_key));
    _mm_storeu_si128((__m128i *)(void *)dst, first);
    _mm_storeu_si128((__m128i *)(void *)(dst + len - 16), last);
    return _mm_movemask_epi8(_mm_or_si128(first, last)) == 0;
}

#include "mask_tpl.h"
#include "transcode_tpl.h"
#include "utf8_tpl.h"

WSF_TARGET_END

const wsf_kernels wsf_kernels_avx2 = {
    .name = "avx2",
    .needs = WSF_CPU_AVX2,
    .mask = mask_kernel,
    .mask_ascii = mask_ascii_kernel,
    .utf8 = utf8_kernel,
    .utf8_measure = measure_kernel,
    .utf8_to_latin1 = latin1_kernel,
    .utf8_to_ucs2 = ucs2_kernel,
    .utf8_to_ucs4 = ucs4_kernel,
};
#endif
