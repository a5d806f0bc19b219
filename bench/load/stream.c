/* stream.c -- see stream.h. */
#include "stream.h"

#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    VARIANTS = 16
};

/* One word of each script, repeated to the end. */
static const char *const words[] = {
    [STREAM_LATIN] = "Fußgänger überqueren Straßen ",
    [STREAM_UTF8] = "Привет, 世界 ",
    [STREAM_CJK] = "天地玄黃宇宙洪荒",
    [STREAM_EMOJI] = "😀😃😄😁🤣🙂🙃😉",
    [STREAM_BINARY] = NULL,
};

/* Records of quotes on a market, say: much is the same in each, and much is not. */
static void make_json(char *p, size_t n, unsigned variant)
{
    uint32_t random = 2463534242u + variant;
    size_t i = 0;

    while (i < n) {
        char record[96];
        int k;

        random = random * 1664525u + 1013904223u;
        k = snprintf(record, sizeof record,
                     "{'symbol':'%c%c%c','bid':%u.%02u,'size':%u,'id':%u},",
                     'A' + (int)(random >> 4) % 26, 'A' + (int)(random >> 9) % 26,
                     'A' + (int)(random >> 14) % 26, random >> 22, random >> 25,
                     random >> 20, random);
        for (int j = 0; j < k && i < n; j++)
            p[i++] = record[j];
    }
}

static void make_payload(stream_kind kind, uint8_t *p, size_t n, unsigned variant)
{
    const char *word = words[kind];
    const size_t length = word != NULL ? strlen(word) : 0;
    size_t i = 0;

    if (kind == STREAM_JSON) {
        make_json((char *)p, n, variant);
        return;
    }
    for (; length != 0 && i + length <= n; i += length)
        memcpy(p + i, word, length);
    for (; i < n; i++)
        p[i] = kind == STREAM_BINARY    ? (uint8_t)(i * 131 + variant * 17 + 5)
               : kind == STREAM_LETTERS ? (uint8_t)('a' + (i * 7 + variant) % 26)
                                        : (uint8_t)(' ' + (i * 7 + variant) % 94);
    if (n > 0 && p[n - 1] < 0x80)
        p[n - 1] = (uint8_t)('A' + variant % 26);
}

/* Compress p[0, n) by itself, as RFC 7692 section 7.2.1 has it; returns its length. */
static size_t deflated(uint8_t *dst, size_t room, uint8_t *p, size_t n)
{
    z_stream z = {.next_in = p,
                  .avail_in = (unsigned)n,
                  .next_out = dst,
                  .avail_out = (unsigned)room};

    if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&z, Z_SYNC_FLUSH) != Z_OK || z.avail_out == 0)
        wire_die("deflate");
    n = room - z.avail_out - 4; /* without 00 00 ff ff */
    deflateEnd(&z);
    return n;
}

/* Lay a message out in frames at `p`, or count their octets if it is NULL. */
static size_t frame(const stream_form *form, uint8_t *p, const uint8_t *message,
                    size_t n, uint8_t key[4])
{
    const unsigned pieces = form->fragments > 1 ? form->fragments : 1;
    const uint8_t opcode = form->kind == STREAM_BINARY ? 2 : 1;
    size_t done = 0, used = 0;

    for (unsigned i = 0; i < pieces; i++) {
        const size_t length = i + 1 < pieces ? n / pieces : n - done;
        const uint8_t first =
            (uint8_t)((i + 1 == pieces ? 0x80 : 0) |
                      (i == 0 && form->deflated ? 0x40 : 0) | (i == 0 ? opcode : 0));
        uint8_t header[WIRE_HEADER_MAX];
        size_t k = 0;

        if (!form->bare)
            k = wire_header(header, first, length, form->masked ? key : NULL);
        if (p != NULL) {
            memcpy(p + used, header, k);
            if (form->masked)
                wire_mask(p + used + k, message + done, length, key, 0);
            else
                memcpy(p + used + k, message + done, length);
        }
        used += k + length;
        done += length;
    }
    return used;
}

static stream long_stream(const stream_form *form)
{
    uint8_t header[WIRE_HEADER_MAX], payload[STREAM_PERIOD];
    const uint8_t first = form->kind == STREAM_BINARY ? 0x82 : 0x81;
    const uint8_t key[4] = {0x9e, 0x37, 0x79, 0xb9};
    stream s = {.is_long = true};

    if (form->before != NULL || form->fragments > 1 || form->deflated || form->bare) {
        fprintf(stderr, "a long message is one plain frame\n");
        exit(2);
    }
    /* the masking-key's period divides the payload's */
    s.header = wire_header(header, first, form->size, form->masked ? key : NULL);
    s.frame = s.block = s.header + form->size;
    s.held = s.header + 2 * STREAM_PERIOD;
    s.octets = malloc(s.held);
    if (s.octets == NULL)
        wire_die("malloc");
    make_payload(form->kind, payload, STREAM_PERIOD, 0);
    if (form->masked)
        wire_mask(payload, payload, STREAM_PERIOD, key, 0);
    memcpy(s.octets, header, s.header);
    memcpy(s.octets + s.header, payload, STREAM_PERIOD);
    memcpy(s.octets + s.header + STREAM_PERIOD, payload, STREAM_PERIOD);
    return s;
}

stream stream_new(const stream_form *form, size_t in_one)
{
    static uint8_t message[STREAM_PERIOD + 1024], compressed[STREAM_PERIOD + 2048];
    const char *before = form->before != NULL ? form->before : "";
    const char *after = form->after != NULL ? form->after : "";
    const size_t around[2] = {strlen(before), strlen(after)};
    uint8_t key[4] = {0x9e, 0x37, 0x79, 0xb9};
    stream s = {.is_long = form->size > STREAM_PERIOD};
    const size_t count = in_one > VARIANTS ? in_one : VARIANTS;

    if (s.is_long)
        return long_stream(form);
    if (around[0] + around[1] > 1024) {
        fprintf(stderr, "too much around a message\n");
        exit(2);
    }
    for (size_t i = 0; i < count; i++) {
        const unsigned variant = form->deflated || form->repeated ? 0 : (unsigned)i;
        size_t n = around[0] + form->size + around[1];
        const uint8_t *p = message;

        memcpy(message, before, around[0]);
        make_payload(form->kind, message + around[0], form->size, variant);
        memcpy(message + around[0] + form->size, after, around[1]);
        if (form->deflated) {
            n = deflated(compressed, sizeof compressed, message, n);
            p = compressed;
        }
        if (i == 0) {
            s.frame = frame(form, NULL, p, n, key);
            s.block = count * s.frame;
            s.held = 2 * s.block;
            s.octets = malloc(s.held);
            if (s.octets == NULL)
                wire_die("malloc");
        }
        key[0] = (uint8_t)(0x9e + 7 * i);
        (void)frame(form, s.octets + i * s.frame, p, n, key);
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
