/* inflate.c -- see inflate.h. */
#include "inflate.h"

#include "wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct inflater {
    z_stream z;
    uint8_t header[WIRE_HEADER_MAX];
    size_t have;   /* octets of the header in hand */
    uint64_t left; /* octets of payload to come */
    bool last;     /* the frame is the last of its message */
};

inflater *inflater_new(void)
{
    inflater *f = calloc(1, sizeof *f);

    if (f == NULL || inflateInit2(&f->z, -15) != Z_OK)
        wire_die("inflateInit2");
    return f;
}

typedef void delivery(void *conn, const uint8_t *p, size_t n);

static void decompress(inflater *f, const uint8_t *p, size_t n, delivery *deliver,
                       void *conn)
{
    static uint8_t out[1 << 16];

    f->z.next_in = (uint8_t *)(uintptr_t)p; /* zlib does not write to it */
    f->z.avail_in = (unsigned)n;
    do {
        int status;

        f->z.next_out = out;
        f->z.avail_out = sizeof out;
        status = inflate(&f->z, Z_SYNC_FLUSH);
        if (status != Z_OK && status != Z_BUF_ERROR) {
            fprintf(stderr, "not what deflate makes: %s\n",
                    f->z.msg != NULL ? f->z.msg : "the end of the stream");
            exit(1);
        }
        deliver(conn, out, sizeof out - f->z.avail_out);
    } while (f->z.avail_out == 0);
}

/* The octets of the header that begins in f->header, as far as it is known. */
static size_t header_size(const inflater *f)
{
    if (f->have < 2)
        return 2;
    return f->header[1] == 127 ? 10 : f->header[1] == 126 ? 4 : 2;
}

static void header_done(inflater *f)
{
    const uint8_t opcode = f->header[0] & 15;

    if (opcode > 2 || f->header[1] > 127) {
        fprintf(stderr, "not a data frame of a server: %02x %02x\n", f->header[0],
                f->header[1]);
        exit(1);
    }
    if (opcode != 0 && (f->header[0] & 0x40) == 0) {
        fprintf(stderr, "the server did not compress a message\n");
        exit(1);
    }
    f->last = (f->header[0] & 0x80) != 0;
    f->left = f->header[1];
    if (f->left >= 126) {
        const size_t octets = f->left == 126 ? 2 : 8;

        f->left = 0;
        for (size_t i = 0; i < octets; i++)
            f->left = f->left << 8 | f->header[2 + i];
    }
}

void inflater_take(inflater *f, const uint8_t *p, size_t n, delivery *deliver,
                   void *conn)
{
    static const uint8_t flush[4] = {0, 0, 0xff, 0xff};

    while (n > 0) {
        size_t k;

        if (f->left == 0) {
            f->header[f->have++] = *p++;
            n--;
            if (f->have < header_size(f))
                continue;
            header_done(f);
            f->have = 0;
            if (f->left != 0)
                continue;
        }
        k = n < f->left ? n : (size_t)f->left;
        decompress(f, p, k, deliver, conn);
        p += k;
        n -= k;
        f->left -= k;
        if (f->left == 0 && f->last)
            decompress(f, flush, sizeof flush, deliver, conn);
    }
}
