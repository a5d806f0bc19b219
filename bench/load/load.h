/* load.h -- what a run of the load client is, for all of its modes. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "hist.h"
#include "stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOAD_STEPS = 8
};

/* A step after the opening handshake: a text message to be sent, or the beginning of
 * one that has to come. */
typedef struct load_step {
    bool say;
    const char *text;
} load_step;

typedef struct load_options {
    const char *host;
    int port;
    int server_pid; /* whose CPU time is read; 0 for none */
    int core;
    unsigned connections;
    unsigned depth;   /* messages in flight per connection */
    stream_form form; /* of what is sent */
    const char
        *back[2]; /* what is around it when it comes back, if it is something else */
    double warmup_s, seconds;
    bool raw;            /* the same octets without WebSocket */
    bool sleep;          /* wait in epoll instead of spinning */
    bool stalled;        /* the last connection of a broadcast does not read */
    bool tls;            /* over TLS, the certificate unchecked */
    const char *deflate; /* parameters of permessage-deflate to offer, or NULL */
    const char *path;
    load_step steps[LOAD_STEPS];
    unsigned steps_count;
} load_options;

extern load_options opt;

/* Echoes: `depth` messages in flight on each connection, every one compared. */
void load_echo(void);

/* Reads lines "N" from standard input, opens N more connections, has one message echoed
 * on each, and answers "open TOTAL". */
void load_idle(void);

/* Handshakes: `connections` at a time are opened, closed cleanly and opened again. */
void load_storm(void);

/* Broadcasts: what the first connection sends, the server sends to all. A message is
 * one that has come to one connection. */
void load_broadcast(void);

/* Clocks at the beginning and at the end of the measured seconds, and the report. */
void load_begin(void);
void load_report(double messages, const hist *latency);

#endif
