/* inflate.h -- what a server compressed: frames in, the payloads of messages out. */
#ifndef BENCH_INFLATE_H
#define BENCH_INFLATE_H

#include <stddef.h>
#include <stdint.h>

typedef struct inflater inflater;

inflater *inflater_new(void);

/* Take what has come, p[0, n), of frames that are not masked. `deliver` is called with
 * `conn` and each piece of payload. A frame that is not a data frame, or a message that
 * is not compressed, ends the program. */
void inflater_take(inflater *f, const uint8_t *p, size_t n,
                   void (*deliver)(void *conn, const uint8_t *p, size_t n), void *conn);

#endif
