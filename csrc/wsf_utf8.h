/* wsf_utf8.h -- UTF-8 (RFC 3629): validation, at once or in pieces, and transcoding.
 *
 * Valid means: no octet C0, C1, F5..FF, no overlong form, no surrogate, nothing above
 * U+10FFFF, no character cut short. Pure functions: no allocation, no globals, callable
 * from any thread. `k` is a table from wsf_kernels_best() everywhere. */
#ifndef WSF_UTF8_H
#define WSF_UTF8_H

#include "wsf_kernels.h"
#include "wsf_status.h"

/* True if data[0..len) is valid UTF-8. No octets at all are valid. */
static inline bool wsf_utf8_valid(const wsf_kernels *k, const uint8_t *data, size_t len)
{
    return k->utf8(data, len) == len;
}

/* A text between two pieces of it: the octets of a character that has begun.
 * All zero is the start of a text. */
typedef struct wsf_utf8 {
    uint8_t tail[3]; /* the first octets of that character, valid so far */
    uint8_t count;   /* how many, 0 to 3 */
} wsf_utf8;

/* Validate the next piece of a text, cut anywhere.
 *
 * s     carries the state from piece to piece. Undefined after an error.
 * len   octets in the piece, 0 allowed.
 * bad   on error the index in `data` of the first octet with which the text cannot be
 *       continued to valid UTF-8: the 80 of E0 80, the 41 of C3 41, F5 itself.
 *       Else untouched.
 *
 * Returns WSF_OK, or WSF_E_UTF8. */
wsf_status wsf_utf8_feed(const wsf_kernels *k, wsf_utf8 *s, const uint8_t *data,
                         size_t len, size_t *bad);

/* True if the text may end here, no character being cut short. */
static inline bool wsf_utf8_complete(const wsf_utf8 *s)
{
    return s->count == 0;
}

/* How wide the characters of a text are, and how many.
 *
 * data,len  VALID UTF-8.
 * chars     set to the number of characters (code points).
 *
 * Returns the class of the highest character: 1 up to U+007F, 2 up to U+00FF, 3 up to
 * U+FFFF, 4 above. */
static inline unsigned wsf_utf8_measure(const wsf_kernels *k, const uint8_t *data,
                                        size_t len, size_t *chars)
{
    return k->utf8_measure(data, len, chars);
}

/* Write a text as code points of one, two or four octets, in the machine's byte order.
 *
 * dst       room for exactly the characters that wsf_utf8_measure counts; no more is
 *           written. Aligned for its type; does not overlap data.
 * data,len  VALID UTF-8 of a class that fits: 1 or 2 for latin1, up to 3 for ucs2.
 *
 * Cannot fail. */
static inline void wsf_utf8_to_latin1(const wsf_kernels *k, uint8_t *dst,
                                      const uint8_t *data, size_t len)
{
    k->utf8_to_latin1(dst, data, len);
}

static inline void wsf_utf8_to_ucs2(const wsf_kernels *k, uint16_t *dst,
                                    const uint8_t *data, size_t len)
{
    k->utf8_to_ucs2(dst, data, len);
}

static inline void wsf_utf8_to_ucs4(const wsf_kernels *k, uint32_t *dst,
                                    const uint8_t *data, size_t len)
{
    k->utf8_to_ucs4(dst, data, len);
}

#endif
