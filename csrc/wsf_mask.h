/* wsf_mask.h -- masking of payload data (RFC 6455 §5.3).
 *
 * Pure functions: no allocation, no globals, callable from any thread. They are inline
 * because a payload of 16 octets or less costs less than a call. */
#ifndef WSF_MASK_H
#define WSF_MASK_H

#include "wsf_kernels.h"
#include "wsf_platform.h"

#include <string.h>

/* The masking-key as a word in memory order, turned so that it is in phase with the
 * octet at `offset`. */
static WSF_INLINE uint32_t wsf_mask_key(const uint8_t key[4], uint64_t offset)
{
    const unsigned turn = (unsigned)(offset & 3) * 8;
    uint32_t word;

    memcpy(&word, key, 4);
#if WSF_BIG_ENDIAN
    return (word << turn) | (word >> ((32 - turn) & 31));
#else
    return (word >> turn) | (word << ((32 - turn) & 31));
#endif
}

/* XOR of up to 16 octets. Both ends are loaded before either is stored, so that they
 * may overlap and dst may be src. True if all that was written is below 0x80. */
static WSF_INLINE bool wsf_mask_short_ascii(uint8_t *dst, const uint8_t *src,
                                            size_t len, uint32_t key)
{
    uint8_t twice[16];
    uint64_t a, b, key_a, key_b;
    uint32_t c, d, key_d;

    for (int i = 0; i < 16; i += 4)
        memcpy(twice + i, &key, 4);
    if (len >= 8) {
        memcpy(&a, src, 8);
        memcpy(&b, src + len - 8, 8);
        memcpy(&key_a, twice, 8);
        memcpy(&key_b, twice + (len & 3), 8);
        a ^= key_a;
        b ^= key_b;
        memcpy(dst, &a, 8);
        memcpy(dst + len - 8, &b, 8);
        return ((a | b) & 0x8080808080808080u) == 0;
    }
    if (len >= 4) {
        memcpy(&c, src, 4);
        memcpy(&d, src + len - 4, 4);
        memcpy(&key_d, twice + (len & 3), 4);
        c ^= key;
        d ^= key_d;
        memcpy(dst, &c, 4);
        memcpy(dst + len - 4, &d, 4);
        return ((c | d) & 0x80808080u) == 0;
    }
    a = 0;
    for (size_t i = 0; i < len; i++) {
        dst[i] = (uint8_t)(src[i] ^ twice[i]);
        a |= dst[i];
    }
    return a < 0x80;
}

/* XOR a payload, or the next piece of one, with its masking-key.
 * Masking is its own inverse: the same call masks and unmasks.
 *
 * k        kernels to run on, from wsf_kernels_best().
 * dst,src  the same buffer, or two that do not overlap; any alignment.
 * len      octets to do, 0 allowed. No octet outside [0, len) is touched.
 * key      masking-key, 4 octets in wire order.
 * offset   octets of this payload done before: src[0] meets key[offset % 4].
 *
 * Cannot fail. */
static WSF_INLINE void wsf_mask(const wsf_kernels *k, uint8_t *dst, const uint8_t *src,
                                size_t len, const uint8_t key[4], uint64_t offset)
{
    const uint32_t word = wsf_mask_key(key, offset);

    if (len <= 16)
        (void)wsf_mask_short_ascii(dst, src, len, word);
    else
        k->mask(dst, src, len, word);
}

/* wsf_mask, and a look at the result in the same sweep: true if every octet written is
 * below 0x80, that is, ASCII. All `len` octets are written in either case. A key of
 * zeros makes it a copy. */
static WSF_INLINE bool wsf_mask_ascii(const wsf_kernels *k, uint8_t *dst,
                                      const uint8_t *src, size_t len,
                                      const uint8_t key[4], uint64_t offset)
{
    const uint32_t word = wsf_mask_key(key, offset);

    if (len <= 16)
        return wsf_mask_short_ascii(dst, src, len, word);
    return k->mask_ascii(dst, src, len, word);
}

#endif
