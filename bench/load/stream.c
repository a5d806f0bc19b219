/* stream.c -- see stream.h. */
#include "stream.h"

#include "wire.h"

#include <stdlib.h>
#include <string.h>

enum {
    VARIANTS = 16
};

static void make_payload(stream_kind kind, uint8_t *p, size_t n, unsigned variant)
{
    static const char words[] = "Привет, 世界 "; /* two and three octets a character */
    const size_t word = sizeof words - 1;
    size_t i = 0;

    if (kind == STREAM_UTF8)
        for (; i + word <= n; i += word)
            memcpy(p + i, words, word);
    for (; i < n; i++)
        p[i] = kind == STREAM_BINARY ? (uint8_t)(i * 131 + variant * 17 + 5)
                                     : (uint8_t)(' ' + (i * 7 + variant) % 94);
    if (n > 0 && p[n - 1] < 0x80)
        p[n - 1] = (uint8_t)('A' + variant % 26);
}

stream stream_new(stream_kind kind, size_t size, bool masked, size_t in_one)
{
    const uint8_t first = kind == STREAM_BINARY ? 0x82 : 0x81;
    uint8_t header[WIRE_HEADER_MAX], payload[STREAM_PERIOD];
    uint8_t key[4] = {0x9e, 0x37, 0x79, 0xb9};
    stream s = {.is_long = size > STREAM_PERIOD};
    size_t frames;

    s.header = wire_header(header, first, size, masked ? key : NULL);
    s.frame = s.header + size;
    if (s.is_long) { /* the masking-key's period divides the payload's */
        s.block = s.frame;
        s.held = s.header + 2 * STREAM_PERIOD;
        s.octets = malloc(s.held);
        if (s.octets == NULL)
            wire_die("malloc");
        make_payload(kind, payload, STREAM_PERIOD, 0);
        if (masked)
            wire_mask(payload, payload, STREAM_PERIOD, key, 0);
        memcpy(s.octets, header, s.header);
        memcpy(s.octets + s.header, payload, STREAM_PERIOD);
        memcpy(s.octets + s.header + STREAM_PERIOD, payload, STREAM_PERIOD);
        return s;
    }
    frames = in_one > VARIANTS ? in_one : VARIANTS;
    s.block = frames * s.frame;
    s.held = 2 * s.block;
    s.octets = malloc(s.held);
    if (s.octets == NULL)
        wire_die("malloc");
    for (size_t i = 0; i < frames; i++) {
        uint8_t *p = s.octets + i * s.frame;

        make_payload(kind, payload, size, (unsigned)i);
        key[0] = (uint8_t)(0x9e + 7 * i);
        p += wire_header(p, first, size, masked ? key : NULL);
        if (masked)
            wire_mask(p, payload, size, key, 0);
        else
            memcpy(p, payload, size);
    }
    memcpy(s.octets + s.block, s.octets, s.block);
    return s;
}

/* The octets that lie in one piece from `at` on: where, and at most how many. */
static uint8_t *piece(const stream *s, uint64_t at, size_t *n)
{
    const size_t i = (size_t)(at % s->block);
    size_t j;

    if (!s->is_long || i < s->header) {
        *n = (s->is_long ? s->header : s->held) - i;
        return s->octets + i;
    }
    j = (i - s->header) % STREAM_PERIOD;
    *n = STREAM_PERIOD;
    if (*n > s->block - i)
        *n = s->block - i;
    return s->octets + s->header + j;
}

int stream_slice(const stream *s, uint64_t at, uint64_t n, struct iovec iov[STREAM_IOV],
                 size_t *got)
{
    int count = 0;

    *got = 0;
    while (n > 0 && count < STREAM_IOV) {
        size_t k;

        iov[count].iov_base = piece(s, at, &k);
        if (k > n)
            k = (size_t)n;
        iov[count++].iov_len = k;
        at += k;
        n -= k;
        *got += k;
    }
    return count;
}

bool stream_equal(const stream *s, uint64_t at, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t k;
        const uint8_t *expected = piece(s, at, &k);

        if (k > n)
            k = n;
        if (memcmp(p, expected, k) != 0)
            return false;
        p += k;
        n -= k;
        at += k;
    }
    return true;
}
