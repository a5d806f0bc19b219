/* utf8_scalar.h -- UTF-8 without vectors: the scalar kernels, and what the vector
 * kernels fall back to where a vector does not pay. */
#ifndef WSF_KERNELS_UTF8_SCALAR_H
#define WSF_KERNELS_UTF8_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WSF_HIGH_BITS 0x8080808080808080u

static inline bool wsf_is_cont(uint8_t octet)
{
    return (octet & 0xC0) == 0x80;
}

/* Octets of the character at p, which is not ASCII and of which `len` > 0 are there; 0
 * if it is not valid or not whole. */
static inline size_t wsf_utf8_char(const uint8_t *p, size_t len)
{
    const uint8_t a = p[0];

    if (a < 0xE0)
        return a >= 0xC2 && len >= 2 && wsf_is_cont(p[1]) ? 2 : 0;
    if (a < 0xF0) {
        if (len < 3 || !wsf_is_cont(p[1]) || !wsf_is_cont(p[2]) ||
            (a == 0xE0 && p[1] < 0xA0) || (a == 0xED && p[1] > 0x9F))
            return 0;
        return 3;
    }
    if (len < 4 || a > 0xF4 || !wsf_is_cont(p[1]) || !wsf_is_cont(p[2]) ||
        !wsf_is_cont(p[3]) || (a == 0xF0 && p[1] < 0x90) || (a == 0xF4 && p[1] > 0x8F))
        return 0;
    return 4;
}

/* The code point at p, which is valid UTF-8; *size gets its octets. */
static inline uint32_t wsf_utf8_code_point(const uint8_t *p, size_t *size)
{
    const uint32_t a = p[0];

    if (a < 0x80) {
        *size = 1;
        return a;
    }
    if (a < 0xE0) {
        *size = 2;
        return (a & 0x1F) << 6 | (p[1] & 0x3Fu);
    }
    if (a < 0xF0) {
        *size = 3;
        return (a & 0x0F) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    }
    *size = 4;
    return (a & 0x07) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 |
           (p[3] & 0x3Fu);
}

/* The class of a text whose highest octet is `high`: 2 while no character is above
 * U+00FF, whose UTF-8 is C3 BF, and so on. */
static inline unsigned wsf_utf8_class(uint8_t high)
{
    return high < 0x80 ? 1 : high < 0xC4 ? 2 : high < 0xF0 ? 3 : 4;
}

#endif
