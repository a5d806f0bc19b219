/* tls.h -- TLS for the native programs of the benchmark: octets in, octets out.
 *
 * OpenSSL over buffers of our own that all connections share, with no I/O: whoever
 * calls does one recv() and one send() a turn. One thread. Whatever is no fault of the
 * peer ends the program with a message. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    TLS_ROOM = 1 << 15 /* octets that tls_open() may give beyond those it takes */
};

/* One end of a connection. */
typedef struct ssl_st tls;

/* Be a server, with a self-signed certificate made here, or a client that asks for
 * none. To be called once. */
void tls_begin(bool server);

tls *tls_new(void);
void tls_free(tls *t);

/* Take what has come, p[0, n), and write what it says to `out`, which has room for
 * n + TLS_ROOM octets. Returns how many, 0 for none yet, or -1 at the end. What there
 * is to answer, of the TLS handshake say, waits for tls_take(). */
ssize_t tls_open(tls *t, uint8_t *out, const uint8_t *p, size_t n);

/* Encrypt p[0, n); the handshake is done. */
void tls_seal(tls *t, const uint8_t *p, size_t n);

/* What is to be sent to the peer of the one connection that was used since the last
 * call: `*n` octets, valid until the next tls_open() or tls_seal(). */
const uint8_t *tls_take(size_t *n);

/* For opening handshakes, on a connected socket, which may be non-blocking: do that of
 * TLS, as a client's first call; send what there is; wait for what comes, and return
 * its octets, of which there are less than TLS_ROOM. */
void tls_handshake(tls *t, int fd);
void tls_send(int fd);
size_t tls_receive(tls *t, int fd, uint8_t *plain);

#endif
