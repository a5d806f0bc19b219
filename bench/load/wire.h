/* wire.h -- what the load client and the floor servers share.
 *
 * Sockets on the loopback, clocks, and as much of RFC 6455 as a benchmark needs. Linux
 * only. Whatever fails ends the program with a message: a benchmark has no errors to
 * recover from. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_HEADER_MAX = 14, /* octets of the longest frame header */
    WIRE_ACCEPT_SIZE = 29 /* a Sec-WebSocket-Accept value and its NUL */
};

/* Print `what` and errno, and exit with status 1. */
_Noreturn void wire_die(const char *what);

/* Nanoseconds of the monotonic clock. */
uint64_t wire_now_ns(void);

/* CPU nanoseconds, user and system, that all threads of a process have used; 0 for
 * pid 0. Exact at the time of the call, unlike the counters in /proc. */
uint64_t wire_cpu_ns(int pid);

/* Nanoseconds that the main thread of a process was runnable but did not run: other
 * programs on its core. pid 0 is the caller. */
uint64_t wire_wait_ns(int pid);

/* Pin the calling thread to one core; a negative core leaves it alone. */
void wire_pin(int core);

/* TCP_NODELAY, and reno where the system allows it: bbr paces even on the loopback. */
void wire_tune(int fd);

/* A non-blocking listening socket on host:port (port 0: any; ask wire_port). */
int wire_listen(const char *host, int port);
int wire_port(int fd);

/* Connect to host:port from 127.0.0.(1 + source % 8), so that one address does not run
 * out of ports. The connect itself blocks unless `nonblocking`. */
int wire_connect(const char *host, int port, unsigned source, bool nonblocking);

/* Write a frame header; `key` NULL for an unmasked frame. Returns its octets. */
size_t wire_header(uint8_t out[WIRE_HEADER_MAX], uint8_t first, uint64_t length,
                   const uint8_t *key);

/* XOR `len` octets with the masking-key, the first of them being octet `offset` of its
 * payload. dst == src or disjoint. */
void wire_mask(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4],
               uint64_t offset);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key of `n` <= 64 characters. */
void wire_accept(char out[WIRE_ACCEPT_SIZE], const char *key, size_t n);

/* What the opening handshake asks for: "/" and no extension unless this was called.
 * `deflate` are the parameters of permessage-deflate, or NULL. */
void wire_set_request(const char *path, const char *deflate);

/* Send the opening handshake on a connected socket; wait for the 101 response, and
 * check it. The socket may be non-blocking. */
void wire_request(int fd);
void wire_response(int fd);

/* The same without the socket: the octets of the request, `*n` of them; how long the
 * response is that head[0, n) begins with, 0 if there is more to come; and whether it
 * is all of that. Any other one ends the program. */
const uint8_t *wire_request_octets(size_t *n);
size_t wire_response_size(const uint8_t *head, size_t n);
bool wire_is_response(const uint8_t *head, size_t n);

#endif
