/* utf8_tpl.h -- body of the UTF-8 validation kernels: the lookup method of J. Keiser
 * and D. Lemire, "Validating UTF-8 in less than one instruction per byte" (2021).
 *
 * Three tables of 16 entries say, for the high and the low half of an octet and for the
 * high half of its successor, which faults that half allows: a pair of octets has a
 * fault if all three allow it. What is left is the third and fourth octet of a
 * character, which have to stand where a lead two or three octets before wants them and
 * nowhere else: the bit for two continuations in a row says where they stand.
 *
 * The including file defines vec, VEC_SIZE, vec_zero, vec_load, vec_or, vec_is_zero,
 * vec_is_ascii, and
 *   vec_table(t)               the 16 octets at t, ready for vec_lookup
 *   vec_lookup(t, v)           t[low half of each octet]
 *   vec_lookup_high(t, v)      t[high half of each octet]
 *   vec_before(v, prev, n)     what stands n octets before (1, 2 or 3, a constant)
 *   vec_add_faults(e, a, b, c, before2, before3)
 *                              e | ((a & b & c) ^ (0x80 where before2 >= E0 or
 *                              before3 >= F0))
 *   vec_exceeds(v, limit)      not zero in each octet of v above that of limit
 *   vec_load_short(p, n)       n < VEC_SIZE octets, then zeros; reads no others
 *   VEC_MASKED                 1 if that is one masked load, good for n == VEC_SIZE too
 */
#include "utf8_scalar.h"

enum utf8_fault {
    TOO_SHORT = 1,   /* lead or ASCII where a continuation has to stand */
    TOO_LONG = 2,    /* continuation after ASCII */
    OVERLONG_3 = 4,  /* E0 80..9F */
    TOO_LARGE = 8,   /* F4 90..BF, F5..FF */
    SURROGATE = 16,  /* ED A0..BF */
    OVERLONG_2 = 32, /* C0, C1 */
    OVERLONG_4 = 64, /* F0 80..8F; and F5..FF 80..8F */
    TWO_CONTS = 128, /* a fault unless a lead two or three octets before wants it */
    ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTS /* what a low half does not decide */
};

static const uint8_t fault_by_high[16] = {
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TWO_CONTS,
    TWO_CONTS,
    TWO_CONTS,
    TWO_CONTS,
    TOO_SHORT | OVERLONG_2,
    TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | OVERLONG_4,
};

static const uint8_t fault_by_low[16] = {
    ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4,
    ANY_LOW | OVERLONG_2,
    ANY_LOW,
    ANY_LOW,
    ANY_LOW | TOO_LARGE,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4 | SURROGATE,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
    ANY_LOW | TOO_LARGE | OVERLONG_4,
};

static const uint8_t fault_by_next_high[16] = {
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_LONG | TWO_CONTS | OVERLONG_2 | OVERLONG_3 | OVERLONG_4,
    TOO_LONG | TWO_CONTS | OVERLONG_2 | OVERLONG_3 | TOO_LARGE,
    TOO_LONG | TWO_CONTS | OVERLONG_2 | SURROGATE | TOO_LARGE,
    TOO_LONG | TWO_CONTS | OVERLONG_2 | SURROGATE | TOO_LARGE,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
};

/* The last vector of a text may not end with a lead that wants more; what stands
 * elsewhere in it may be anything. Read from the end, VEC_SIZE octets of it. */
#define ANY_16                                                                         \
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
static const uint8_t highest_at_end[64] = {
    ANY_16, ANY_16, ANY_16, 255, 255, 255, 255,  255,  255,  255,
    255,    255,    255,    255, 255, 255, 0xEF, 0xDF, 0xBF,
};
#undef ANY_16

typedef struct utf8_state {
    vec by_high, by_low, by_next_high; /* the tables */
    vec lead_limit;                    /* what the last three octets may not exceed */
    vec prev;                          /* the vector before */
    vec error;                         /* not zero once something was wrong */
} utf8_state;

static WSF_INLINE void utf8_start(utf8_state *s)
{
    s->lead_limit = vec_load(highest_at_end + 64 - VEC_SIZE);
    s->by_high = vec_table(fault_by_high);
    s->by_low = vec_table(fault_by_low);
    s->by_next_high = vec_table(fault_by_next_high);
    s->prev = vec_zero();
    s->error = vec_zero();
}

/* Check one vector, and what the vector before has begun. */
static WSF_INLINE void utf8_check(utf8_state *s, vec v)
{
    const vec before = vec_before(v, s->prev, 1);

    s->error = vec_add_faults(s->error, vec_lookup_high(s->by_high, before),
                              vec_lookup(s->by_low, before),
                              vec_lookup_high(s->by_next_high, v),
                              vec_before(v, s->prev, 2), vec_before(v, s->prev, 3));
    s->prev = v;
}

/* What is ASCII or the end of the text must not cut a character short. */
static WSF_INLINE void utf8_check_end(utf8_state *s)
{
    s->error = vec_or(s->error, vec_exceeds(s->prev, s->lead_limit));
}

static WSF_INLINE void utf8_check_or_skip(utf8_state *s, vec v)
{
    if (vec_is_ascii(v)) {
        utf8_check_end(s);
        s->prev = v;
    } else {
        utf8_check(s, v);
    }
}

/* Where the last character starts that begins before `i`. */
static size_t utf8_back_up(const uint8_t *data, size_t i)
{
    size_t back = 0;

    while (back < 3 && back < i) {
        back++;
        if (data[i - back] >= 0xC0)
            return i - back;
        if (data[i - back] < 0x80)
            break;
    }
    return i;
}

static size_t utf8_kernel(const uint8_t *data, size_t len)
{
    utf8_state s;
    size_t i = 0;

    if (len < VEC_SIZE + VEC_MASKED && vec_is_ascii(vec_load_short(data, len)))
        return len; /* before the tables are loaded */
    utf8_start(&s);
    for (; len - i >= 4 * VEC_SIZE; i += 4 * VEC_SIZE) {
        const vec a = vec_load(data + i), b = vec_load(data + i + VEC_SIZE);
        const vec c = vec_load(data + i + 2 * VEC_SIZE);
        const vec d = vec_load(data + i + 3 * VEC_SIZE);

        if (vec_is_ascii(vec_or(vec_or(a, b), vec_or(c, d)))) {
            utf8_check_end(&s);
            s.prev = d;
        } else {
            utf8_check(&s, a);
            utf8_check(&s, b);
            utf8_check(&s, c);
            utf8_check(&s, d);
        }
        if (!vec_is_zero(s.error))
            return utf8_back_up(data, i);
    }
    {
        const size_t rest = i;

        for (; len - i >= VEC_SIZE; i += VEC_SIZE)
            utf8_check_or_skip(&s, vec_load(data + i));
        if (i < len)
            utf8_check_or_skip(&s, vec_load_short(data + i, len - i));
        utf8_check_end(&s);
        return vec_is_zero(s.error) ? len : utf8_back_up(data, rest);
    }
}
