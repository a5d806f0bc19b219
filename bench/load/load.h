/* load.h -- what a run of the load client is, for all of its modes. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct load_options {
    const char *host;
    int port;
    int server_pid; /* whose CPU time is read; 0 for none */
    int core;
    unsigned connections;
    size_t size;    /* octets of payload */
    unsigned depth; /* messages in flight per connection */
    double warmup_s, seconds;
    bool raw;   /* the same octets without WebSocket */
    bool sleep; /* wait in epoll instead of spinning */
} load_options;

/* Handshakes: `connections` at a time are opened, closed cleanly and opened again. */
void load_storm(const load_options *options);

#endif
