/* transcode_tpl.h -- bodies of measuring and transcoding valid UTF-8.
 *
 * A window is eight octets. Its leads (all octets but continuations) are found as a bit
 * mask; a table turns the mask into their positions; a shuffle brings each lead with
 * the octets behind it into a lane of its own; and all lanes become code points at
 * once. Continuations at the start of a window belong to the window before, which has
 * seen them: a load reaches eight octets further than its window. So each step takes
 * eight octets, whatever is in them. Nothing branches on the text but for one thing:
 * a run of ASCII is only widened.
 *
 * A vector holds WINDOWS of them, one in each 128-bit part. The including file defines,
 * besides what mask_tpl.h and utf8_tpl.h want,
 *   vec_and, vec_max, vec_add8, vec_select(m, a, b)     m ? a : b, bit by bit
 *   vec_negative8(v)                                    all ones where v >= 0x80
 *   vec_equal8(a, b), vec_above16(a, b), vec_above32(a, b)   all ones where it holds
 *   vec_shl16(v, n), vec_shr32(v, n)                    shift of each lane
 *   vec_shuffle(v, control)                             within each 128-bit part
 *   vec_pair(v)        lanes of 16 bits: low octet * 64 + high octet
 *   vec_quad(v)        lanes of 32 bits: the same for four octets, * 64 each time
 *   vec_count_chars(acc, v)   acc, one more in each octet that is no continuation
 *   vec_sum(acc)              of all octets
 *   widen1, widen2, widen4(dst, v)   store each octet of v as a lane of its own
 *   window_load(p)     WINDOWS times 16 octets, starting eight octets apart
 *   window_leads(p)    the mask of leads of the 8 * WINDOWS octets at p
 *   window_positions(m)       8 positions in the low half of each part
 *   window_twice(v)    each octet of the low halves twice
 *   window_four_times(v, half)       four of those octets (0-3 or 4-7), four times each
 *   window_store1, window_store2(dst, v, m), window_store4(dst, low, high, m)
 *                      store the lanes of each window behind each other, at least those
 *                      in use, at most eight; return dst behind those in use */
#include "utf8_scalar.h"

static WSF_INLINE vec vec_dup8(uint8_t x)
{
    return vec_dup32(x * 0x01010101u);
}

static unsigned measure_kernel(const uint8_t *data, size_t len, size_t *chars)
{
    vec highest = vec_zero();
    size_t count = 0, i = 0;

    while (len - i >= VEC_SIZE) {
        const size_t whole = (len - i) / VEC_SIZE;
        const size_t end = i + (whole < 255 ? whole : 255) * VEC_SIZE;
        vec counts = vec_zero(); /* 255 times one is what an octet can hold */

        for (; i < end; i += VEC_SIZE) {
            const vec v = vec_load(data + i);

            highest = vec_max(highest, v);
            counts = vec_count_chars(counts, v);
        }
        count += vec_sum(counts);
    }
    if (i < len) {
        const vec v = vec_load_short(data + i, len - i);

        highest = vec_max(highest, v);
        count += vec_sum(vec_count_chars(vec_zero(), v)) - (VEC_SIZE - (len - i));
    }
    *chars = count;
    if (vec_is_ascii(highest))
        return 1;
    if (vec_is_zero(vec_exceeds(highest, vec_dup8(0xC3))))
        return 2;
    return vec_is_zero(vec_exceeds(highest, vec_dup8(0xEF))) ? 3 : 4;
}

enum {
    STEP = 8 * WINDOWS,
    /* A window of a text of three octets a character fills two lanes at least, of eight
     * that are stored: the 20 octets behind it hold the six characters that will
     * overwrite the rest. Wider and narrower texts need fewer. */
    STEP_ROOM = STEP + 20,
    RUN = 64 /* long enough that texts with an accent here and there rarely have one */
};

static WSF_INLINE bool is_ascii_run(const uint8_t *p)
{
    vec all = vec_load(p);

    for (size_t i = VEC_SIZE; i < RUN; i += VEC_SIZE)
        all = vec_or(all, vec_load(p + i));
    return vec_is_ascii(all);
}

static WSF_INLINE uint8_t *latin1_step(uint8_t *dst, const uint8_t *p)
{
    const unsigned m = window_leads(p);
    const vec v = window_load(p), next = window_load(p + 1);
    /* C2 xx is xx, C3 xx is xx + 0x40 */
    const vec c3 = vec_and(vec_equal8(v, vec_dup8(0xC3)), vec_dup8(0x40));
    const vec r = vec_select(vec_negative8(v), vec_add8(next, c3), v);

    return window_store1(dst, vec_shuffle(r, window_positions(m)), m);
}

static WSF_INLINE uint16_t *ucs2_step(uint16_t *dst, const uint8_t *p)
{
    const unsigned m = window_leads(p);
    const vec v = window_load(p);
    const vec at = vec_add8(window_twice(window_positions(m)), vec_dup32(0x01000100));
    const vec ab = vec_shuffle(v, at); /* first and second octet of each */
    const vec c = vec_shuffle(v, vec_add8(at, vec_dup8(2)));
    const vec a = vec_and(ab, vec_dup32(0x00FF00FF));
    const vec two = vec_pair(vec_and(ab, vec_dup32(0x3F1F3F1F)));
    const vec three = vec_or(vec_shl16(two, 6), vec_and(c, vec_dup32(0x003F003F)));
    const vec more = vec_select(vec_above16(a, vec_dup32(0x00DF00DF)), three, two);
    const vec r = vec_select(vec_above16(a, vec_dup32(0x007F007F)), more, a);

    return window_store2(dst, r, m);
}

/* Lanes of 32 bits, each with the four octets from a lead on, to code points. */
static WSF_INLINE vec code_points(vec w)
{
    const vec a = vec_and(w, vec_dup32(0xFF));
    const vec all = vec_quad(vec_and(w, vec_dup32(0x3F3F3F7F)));
    const vec four = vec_and(all, vec_dup32(0x1FFFFF));
    const vec three = vec_and(vec_shr32(all, 6), vec_dup32(0xFFFF));
    const vec two = vec_and(vec_shr32(all, 12), vec_dup32(0x7FF));
    const vec high = vec_select(vec_above32(a, vec_dup32(0xEF)), four, three);
    const vec low = vec_select(vec_above32(a, vec_dup32(0x7F)), two, a);

    return vec_select(vec_above32(a, vec_dup32(0xDF)), high, low);
}

static WSF_INLINE uint32_t *ucs4_step(uint32_t *dst, const uint8_t *p)
{
    const unsigned m = window_leads(p);
    const vec v = window_load(p), at = window_positions(m);
    const vec each = vec_dup32(0x03020100);
    const vec low = vec_shuffle(v, vec_add8(window_four_times(at, 0), each));
    const vec high = vec_shuffle(v, vec_add8(window_four_times(at, 1), each));

    return window_store4(dst, code_points(low), code_points(high), m);
}

/* Runs first, then what is left in steps, then what is left octet by octet. */
#define TRANSCODE_KERNEL(name, type, widen)                                            \
    static void name##_kernel(type *dst, const uint8_t *data, size_t len)              \
    {                                                                                  \
        size_t i = 0, size;                                                            \
                                                                                       \
        while (len - i >= RUN + STEP_ROOM) {                                           \
            const size_t end = i + RUN;                                                \
                                                                                       \
            if (is_ascii_run(data + i)) {                                              \
                for (; i < end; i += VEC_SIZE, dst += VEC_SIZE)                        \
                    widen(dst, vec_load(data + i));                                    \
            } else {                                                                   \
                for (; i < end; i += STEP)                                             \
                    dst = name##_step(dst, data + i);                                  \
            }                                                                          \
        }                                                                              \
        for (; len - i >= STEP_ROOM; i += STEP)                                        \
            dst = name##_step(dst, data + i);                                          \
        while (i < len && wsf_is_cont(data[i])) /* of a character that is done */      \
            i++;                                                                       \
        for (; i < len; i += size)                                                     \
            *dst++ = (type)wsf_utf8_code_point(data + i, &size);                       \
    }

TRANSCODE_KERNEL(latin1, uint8_t, widen1)
TRANSCODE_KERNEL(ucs2, uint16_t, widen2)
TRANSCODE_KERNEL(ucs4, uint32_t, widen4)
