/* kernels_neon.c -- NEON vocabulary (AArch64, 16-octet vectors), then the shared
 * bodies. Every AArch64 has it, so that no target is named. */
#include "kernels.h"

#if defined(WSF_AARCH64)
#include "lead_positions.h"
#include "short_load.h"
#include <arm_neon.h>

typedef uint8x16_t vec;
enum {
    VEC_SIZE = 16,
    WINDOWS = 1,
    VEC_MASKED = 0
};

static WSF_INLINE vec vec_zero(void)
{
    return vdupq_n_u8(0);
}

static WSF_INLINE vec vec_load(const uint8_t *p)
{
    return vld1q_u8(p);
}

static WSF_INLINE void vec_store(uint8_t *p, vec v)
{
    vst1q_u8(p, v);
}

static WSF_INLINE vec vec_load_short(const uint8_t *p, size_t n)
{
    uint64_t low, high;

    wsf_load_short(p, n, &low, &high);
    return vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(low), vcreate_u64(high)));
}

static WSF_INLINE vec vec_or(vec a, vec b)
{
    return vorrq_u8(a, b);
}

static WSF_INLINE vec vec_xor(vec a, vec b)
{
    return veorq_u8(a, b);
}

static WSF_INLINE vec vec_dup32(uint32_t x)
{
    return vreinterpretq_u8_u32(vdupq_n_u32(x));
}

static WSF_INLINE bool vec_is_ascii(vec v)
{
    return vmaxvq_u8(v) < 0x80;
}

static WSF_INLINE bool vec_is_zero(vec v)
{
    return vmaxvq_u8(v) == 0;
}

static WSF_INLINE vec vec_table(const uint8_t t[16])
{
    return vec_load(t);
}

static WSF_INLINE vec vec_lookup(vec t, vec v)
{
    return vqtbl1q_u8(t, vandq_u8(v, vdupq_n_u8(0x0F)));
}

static WSF_INLINE vec vec_lookup_high(vec t, vec v)
{
    return vqtbl1q_u8(t, vshrq_n_u8(v, 4));
}

#define vec_before(v, prev, n) vextq_u8(prev, v, 16 - (n))

static WSF_INLINE vec vec_add_faults(vec e, vec a, vec b, vec c, vec before2,
                                     vec before3)
{
    const vec faults = vandq_u8(vandq_u8(a, b), c);
    const vec third = vqsubq_u8(before2, vdupq_n_u8(0xE0 - 0x80));
    const vec fourth = vqsubq_u8(before3, vdupq_n_u8(0xF0 - 0x80));
    const vec wanted = vandq_u8(vorrq_u8(third, fourth), vdupq_n_u8(0x80));

    return vorrq_u8(e, veorq_u8(faults, wanted));
}

static WSF_INLINE vec vec_exceeds(vec v, vec limit)
{
    return vqsubq_u8(v, limit);
}

static WSF_INLINE vec vec_and(vec a, vec b)
{
    return vandq_u8(a, b);
}

static WSF_INLINE vec vec_max(vec a, vec b)
{
    return vmaxq_u8(a, b);
}

static WSF_INLINE vec vec_add8(vec a, vec b)
{
    return vaddq_u8(a, b);
}

static WSF_INLINE vec vec_select(vec m, vec a, vec b)
{
    return vbslq_u8(m, a, b);
}

static WSF_INLINE vec vec_negative8(vec v)
{
    return vcgeq_u8(v, vdupq_n_u8(0x80));
}

static WSF_INLINE vec vec_equal8(vec a, vec b)
{
    return vceqq_u8(a, b);
}

static WSF_INLINE vec vec_above16(vec a, vec b)
{
    return vreinterpretq_u8_u16(
        vcgtq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
}

static WSF_INLINE vec vec_above32(vec a, vec b)
{
    return vreinterpretq_u8_u32(
        vcgtq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

#define vec_shl16(v, n) vreinterpretq_u8_u16(vshlq_n_u16(vreinterpretq_u16_u8(v), n))
#define vec_shr32(v, n) vreinterpretq_u8_u32(vshrq_n_u32(vreinterpretq_u32_u8(v), n))

static WSF_INLINE vec vec_shuffle(vec v, vec control)
{
    return vqtbl1q_u8(v, control);
}

static WSF_INLINE vec vec_pair(vec v)
{
    const uint16x8_t lanes = vreinterpretq_u16_u8(v);
    const uint16x8_t low = vandq_u16(lanes, vdupq_n_u16(0xFF));

    return vreinterpretq_u8_u16(vsraq_n_u16(vshlq_n_u16(low, 6), lanes, 8));
}

static WSF_INLINE vec vec_quad(vec v)
{
    const uint32x4_t pairs = vreinterpretq_u32_u8(vec_pair(v));
    const uint32x4_t low = vandq_u32(pairs, vdupq_n_u32(0xFFFF));

    return vreinterpretq_u8_u32(vsraq_n_u32(vshlq_n_u32(low, 12), pairs, 16));
}

/* Continuations are -128 to -65 as signed octets. */
static WSF_INLINE vec not_continuation(vec v)
{
    return vcgtq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(-65));
}

static WSF_INLINE vec vec_count_chars(vec acc, vec v)
{
    return vsubq_u8(acc, not_continuation(v));
}

static WSF_INLINE size_t vec_sum(vec acc)
{
    return vaddlvq_u8(acc);
}

static WSF_INLINE void widen1(uint8_t *dst, vec v)
{
    vec_store(dst, v);
}

static WSF_INLINE void widen2(uint16_t *dst, vec v)
{
    vst1q_u16(dst, vmovl_u8(vget_low_u8(v)));
    vst1q_u16(dst + 8, vmovl_u8(vget_high_u8(v)));
}

static WSF_INLINE void half_widen4(uint32_t *dst, uint16x8_t v)
{
    vst1q_u32(dst, vmovl_u16(vget_low_u16(v)));
    vst1q_u32(dst + 4, vmovl_u16(vget_high_u16(v)));
}

static WSF_INLINE void widen4(uint32_t *dst, vec v)
{
    half_widen4(dst, vmovl_u8(vget_low_u8(v)));
    half_widen4(dst + 8, vmovl_u8(vget_high_u8(v)));
}

static WSF_INLINE vec window_load(const uint8_t *p)
{
    return vec_load(p);
}

static WSF_INLINE unsigned window_leads(const uint8_t *p)
{
    const uint8x8_t weights = vcreate_u8(0x8040201008040201u);

    return vaddv_u8(vand_u8(vget_low_u8(not_continuation(vec_load(p))), weights));
}

static WSF_INLINE vec window_positions(unsigned m)
{
    return vreinterpretq_u8_u64(vdupq_n_u64(wsf_lead_positions[m]));
}

static WSF_INLINE vec window_twice(vec v)
{
    return vzip1q_u8(v, v);
}

static WSF_INLINE vec window_four_times(vec v, int half)
{
    const uint16x8_t twice = vreinterpretq_u16_u8(vzip1q_u8(v, v));

    return vreinterpretq_u8_u16(half ? vzip2q_u16(twice, twice)
                                     : vzip1q_u16(twice, twice));
}

static WSF_INLINE size_t window_count(unsigned m)
{
    return vaddv_u8(vcnt_u8(vcreate_u8(m)));
}

static WSF_INLINE uint8_t *window_store1(uint8_t *dst, vec v, unsigned m)
{
    vst1_u8(dst, vget_low_u8(v));
    return dst + window_count(m);
}

static WSF_INLINE uint16_t *window_store2(uint16_t *dst, vec v, unsigned m)
{
    vst1q_u16(dst, vreinterpretq_u16_u8(v));
    return dst + window_count(m);
}

static WSF_INLINE uint32_t *window_store4(uint32_t *dst, vec low, vec high, unsigned m)
{
    const size_t count = window_count(m);

    vst1q_u32(dst, vreinterpretq_u32_u8(low));
    if (count > 4)
        vst1q_u32(dst + 4, vreinterpretq_u32_u8(high));
    return dst + count;
}

#include "../wsf_mask.h"
#define narrow_mask wsf_mask_short_ascii
#include "mask_tpl.h"
#include "transcode_tpl.h"
#include "utf8_tpl.h"

const wsf_kernels wsf_kernels_neon = {
    .name = "neon",
    .needs = WSF_CPU_NEON,
    .mask = mask_kernel,
    .mask_ascii = mask_ascii_kernel,
    .utf8 = utf8_kernel,
    .utf8_measure = measure_kernel,
    .utf8_to_latin1 = latin1_kernel,
    .utf8_to_ucs2 = ucs2_kernel,
    .utf8_to_ucs4 = ucs4_kernel,
};
#endif
