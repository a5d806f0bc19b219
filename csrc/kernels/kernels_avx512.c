/* kernels_avx512.c -- AVX-512 vocabulary (64-octet vectors, masks for what is shorter;
 * F, BW, VL, VBMI, VBMI2: Ice Lake, Zen 4 and later), then the shared bodies. */
#include "kernels.h"

#if defined(WSF_X86_64)
#include <immintrin.h> /* outside the region: its functions carry their own target */
#include <string.h>

typedef __m512i vec;
enum {
    VEC_SIZE = 64,
    VEC_MASKED = 1
};

WSF_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi2,popcnt")

static WSF_INLINE vec vec_zero(void)
{
    return _mm512_setzero_si512();
}

static WSF_INLINE vec vec_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

static WSF_INLINE void vec_store(uint8_t *p, vec v)
{
    _mm512_storeu_si512(p, v);
}

/* The lanes below n, n <= 64. */
static WSF_INLINE __mmask64 lanes(size_t n)
{
    return _bzhi_u64(~(uint64_t)0, (unsigned)n);
}

static WSF_INLINE vec vec_load_short(const uint8_t *p, size_t n)
{
    return _mm512_maskz_loadu_epi8(lanes(n), p);
}

static WSF_INLINE vec vec_or(vec a, vec b)
{
    return _mm512_or_si512(a, b);
}

static WSF_INLINE vec vec_xor(vec a, vec b)
{
    return _mm512_xor_si512(a, b);
}

static WSF_INLINE vec vec_dup32(uint32_t x)
{
    return _mm512_set1_epi32((int)x);
}

static WSF_INLINE bool vec_is_ascii(vec v)
{
    return _mm512_movepi8_mask(v) == 0;
}

static WSF_INLINE bool vec_is_zero(vec v)
{
    return _mm512_test_epi8_mask(v, v) == 0;
}

static WSF_INLINE bool narrow_mask(uint8_t *dst, const uint8_t *src, size_t len,
                                   uint32_t key)
{
    const __mmask64 m = lanes(len);
    const vec v = vec_xor(_mm512_maskz_loadu_epi8(m, src), vec_dup32(key));

    _mm512_mask_storeu_epi8(dst, m, v);
    return (_mm512_movepi8_mask(v) & m) == 0;
}

/* vpermb looks at the low six bits of an index: with the table four times over, the
 * two bits above the half octet may be anything, and need no masking off. */
static WSF_INLINE vec vec_table(const uint8_t t[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)t));
}

static WSF_INLINE vec vec_lookup(vec t, vec v)
{
    return _mm512_permutexvar_epi8(v, t);
}

static WSF_INLINE vec vec_lookup_high(vec t, vec v)
{
    return _mm512_permutexvar_epi8(_mm512_srli_epi16(v, 4), t);
}

/* Within each 128-bit lane, so the lane before is brought alongside first. */
#define vec_before(v, prev, n)                                                         \
    _mm512_alignr_epi8(v, _mm512_alignr_epi64(v, prev, 6), 16 - (n))

static WSF_INLINE vec vec_add_faults(vec e, vec a, vec b, vec c, vec before2,
                                     vec before3)
{
    const vec faults = _mm512_ternarylogic_epi32(a, b, c, 0x80); /* a & b & c */
    const vec third = _mm512_subs_epu8(before2, _mm512_set1_epi8(0xE0 - 0x80));
    const vec fourth = _mm512_subs_epu8(before3, _mm512_set1_epi8(0xF0 - 0x80));
    const vec wanted = _mm512_ternarylogic_epi32(third, fourth, _mm512_set1_epi8(-128),
                                                 0xA8); /* (third | fourth) & 0x80 */

    return _mm512_ternarylogic_epi32(e, faults, wanted, 0xF6); /* e | (f ^ w) */
}

static WSF_INLINE vec vec_exceeds(vec v, vec limit)
{
    return _mm512_subs_epu8(v, limit);
}

#include "mask_tpl.h"
#include "transcode_avx512.h"
#include "utf8_tpl.h"

WSF_TARGET_END

const wsf_kernels wsf_kernels_avx512 = {
    .name = "avx512",
    .needs = WSF_CPU_AVX512,
    .mask = mask_kernel,
    .mask_ascii = mask_ascii_kernel,
    .utf8 = utf8_kernel,
    .utf8_measure = measure_kernel,
    .utf8_to_latin1 = latin1_kernel,
    .utf8_to_ucs2 = ucs2_kernel,
    .utf8_to_ucs4 = ucs4_kernel,
};
#endif
