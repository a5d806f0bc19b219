/* stream.h -- the octets of one connection: messages of one length without end.
 *
 * Short messages: a few payloads in turn, so that an echo out of order shows. Long
 * ones: one payload with a period of STREAM_PERIOD octets, so that the client's own
 * copy stays in cache and the measured octets are the server's. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    STREAM_PERIOD = 1 << 16,
    STREAM_IOV = 128
};

typedef enum stream_kind {
    STREAM_TEXT,
    STREAM_LETTERS, /* nothing that JSON escapes */
    STREAM_LATIN,
    STREAM_UTF8, /* Cyrillic and CJK */
    STREAM_CJK,
    STREAM_EMOJI,
    STREAM_JSON, /* letters and digits between quotes: compressed, it is half as long */
    STREAM_BINARY
} stream_kind;

/* What a message is. */
typedef struct stream_form {
    stream_kind kind;
    size_t size;                /* octets of its payload, without what is around it */
    const char *before, *after; /* what is around it, or NULL */
    unsigned fragments;         /* frames that it is sent in; 0 and 1 are one */
    bool masked;                /* as a client sends it, or as a server does */
    bool bare;                  /* the payload alone, without frames */
    bool deflated;              /* a message by itself */
    bool repeated;              /* all messages are the same one, as if deflated */
} stream_form;

typedef struct stream {
    size_t frame;  /* octets of a message, headers and payload */
    size_t header; /* octets of its header, of a long one */
    size_t block;  /* octets after which everything repeats */
    size_t held; /* octets at `octets`; short: two blocks; long: header, two periods */
    uint8_t *octets;
    bool is_long;
} stream;

/* Make the stream.
 *
 * in_one      how many short messages in sequence have to lie in one piece, at least */
stream stream_new(const stream_form *form, size_t in_one);

/* Point `iov` at the octets [at, at + n) of the stream, or at the first of them if
 * STREAM_IOV pieces do not reach. Returns the number of pieces, and the octets in *got.
 */
int stream_slice(const stream *s, uint64_t at, uint64_t n, struct iovec iov[STREAM_IOV],
                 size_t *got);

/* Whether p[0, n) are the octets of the stream from `at` on. */
bool stream_equal(const stream *s, uint64_t at, const uint8_t *p, size_t n);

#endif
