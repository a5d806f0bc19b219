/* wsf_header.h -- the base framing of RFC 6455 §5.2: one frame header, both ways.
 *
 * Pure functions, inline because they run once per frame. Which values are allowed in
 * which order is the parser's business; here is only what a single header can break:
 * the form of the payload length. */
#ifndef WSF_HEADER_H
#define WSF_HEADER_H

#include "wsf_platform.h"
#include "wsf_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    WSF_FIN = 0x80, /* bits of the first octet */
    WSF_RSV1 = 0x40,
    WSF_RSV2 = 0x20,
    WSF_RSV3 = 0x10,
    WSF_OPCODE_BITS = 0x0F,

    WSF_OP_CONT = 0, /* opcodes; 8 and above are control frames */
    WSF_OP_TEXT = 1,
    WSF_OP_BINARY = 2,
    WSF_OP_CLOSE = 8,
    WSF_OP_PING = 9,
    WSF_OP_PONG = 10,

    WSF_HEADER_MAX = 14,   /* octets of the longest header */
    WSF_CONTROL_MAX = 125, /* octets of payload in a control frame */
    WSF_MASK_BIT = 0x80    /* in the second octet */
};

typedef struct wsf_header {
    uint64_t length; /* of the payload, in octets, below 2^63 */
    uint8_t key[4];  /* masking-key in wire order; zeros without one */
    uint8_t first;   /* FIN, RSV1-3 and opcode, as on the wire */
    bool masked;
    uint8_t size; /* octets of the header itself, 2 to 14 */
} wsf_header;

/* Read the header at the start of `p`.
 *
 * h   filled in as far as `p` goes: `first`, `masked` and `size` from 2 octets on.
 *     With fewer, `size` is 2 and the rest is not touched. Complete on WSF_OK.
 * p   octets as they came; `n` of them may be read, 0 allowed.
 *
 * Returns WSF_OK; WSF_NEED_MORE, `size` saying how many octets a further call wants at
 * least; WSF_E_LENGTH_RANGE or WSF_E_LENGTH_MINIMAL as soon as the length is there. */
static WSF_INLINE wsf_status wsf_header_decode(wsf_header *h, const uint8_t *p,
                                               size_t n)
{
    size_t key_at = 2;
    uint64_t length;

    if (n < 2) {
        h->size = 2;
        return WSF_NEED_MORE;
    }
    h->first = p[0];
    h->masked = (p[1] & WSF_MASK_BIT) != 0;
    length = p[1] & 0x7Fu;
    if (length == 126)
        key_at = 4;
    else if (length == 127)
        key_at = 10;
    h->size = (uint8_t)(key_at + (h->masked ? 4 : 0));

    if (n < key_at)
        return WSF_NEED_MORE;
    if (key_at == 4) {
        length = ((uint64_t)p[2] << 8) | p[3];
        if (length < 126)
            return WSF_E_LENGTH_MINIMAL;
    } else if (key_at == 10) {
        length = 0;
        for (int i = 2; i < 10; i++)
            length = (length << 8) | p[i];
        if (length >> 63)
            return WSF_E_LENGTH_RANGE;
        if (length < 0x10000)
            return WSF_E_LENGTH_MINIMAL;
    }
    h->length = length;

    if (n < h->size)
        return WSF_NEED_MORE;
    if (h->masked)
        memcpy(h->key, p + key_at, 4);
    else
        memset(h->key, 0, 4);
    return WSF_OK;
}

/* Write a header, its length in the shortest form.
 *
 * out     room for WSF_HEADER_MAX octets; only those of the header are written.
 * first   FIN, RSV1-3 and opcode, as on the wire; not judged.
 * length  of the payload, in octets, below 2^63.
 * key     masking-key, 4 octets in wire order; NULL for a frame that is not masked.
 *
 * Returns the octets written, 2 to 14. */
static WSF_INLINE size_t wsf_header_encode(uint8_t out[WSF_HEADER_MAX], uint8_t first,
                                           uint64_t length, const uint8_t *key)
{
    const uint8_t mask_bit = key != NULL ? WSF_MASK_BIT : 0;
    size_t size = 2;

    out[0] = first;
    if (length < 126) {
        out[1] = (uint8_t)(mask_bit | length);
    } else if (length < 0x10000) {
        out[1] = (uint8_t)(mask_bit | 126);
        out[2] = (uint8_t)(length >> 8);
        out[3] = (uint8_t)length;
        size = 4;
    } else {
        out[1] = (uint8_t)(mask_bit | 127);
        for (int i = 0; i < 8; i++)
            out[2 + i] = (uint8_t)(length >> (56 - 8 * i));
        size = 10;
    }
    if (key != NULL) {
        memcpy(out + size, key, 4);
        size += 4;
    }
    return size;
}

#endif
