/* pass_floor.c -- what a pass over ready connections costs in C: the floor for
 * `python -m bench.passes`.
 *
 *   pass_floor [--raw] [--connections N] [--depth D] [--size B] [--binary]
 *              [--broadcast] [--rounds N] [--core N]
 *
 * Both ends are in one thread, as there: each round sends to all connections, serves
 * them and takes the replies; only the serving is timed. It polls once, and for each
 * connection reads once, echoes every frame into one buffer and sends that once.
 * --raw sends back what it has read. With --broadcast one connection sends, and all get
 * it, by one send each. Prints nanoseconds per message as JSON. */
#define _GNU_SOURCE
#include "wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_SIZE = 1 << 18, /* as the reactor's */
    EVENTS = 256,
    WARM_UP = 20, /* rounds */
    KEY_SIZE = 4
};

static uint8_t read_buf[READ_SIZE], out_buf[READ_SIZE], sent[READ_SIZE];
static uint8_t expected[READ_SIZE], taken[READ_SIZE];
static size_t sent_size, reply_size, size = 64;
static long connections = 100, depth = 1, rounds = 1000;
static bool raw, binary, broadcasting;
static int epfd, *peers, *served; /* the two ends of each connection */

static long number(const char *text, long least, long most)
{
    char *end;
    const long n = strtol(text, &end, 10);

    if (end == text || *end != '\0' || n < least || n > most) {
        fprintf(stderr, "%s is not a number from %ld to %ld\n", text, least, most);
        exit(2);
    }
    return n;
}

/* Echo every frame in p[0, n), all whole, to out_buf; returns the octets written. */
static size_t echo(const uint8_t *p, size_t n)
{
    size_t used = 0, written = 0;

    while (used < n) {
        const uint8_t *q = p + used;
        uint64_t length = q[1] & 127;
        size_t header = 2;

        if (length >= 126) {
            const size_t octets = length == 126 ? 2 : 8;

            length = 0;
            for (; header < 2 + octets; header++)
                length = length << 8 | q[header];
        }
        header += KEY_SIZE;
        written += wire_header(out_buf + written, q[0], length, NULL);
        wire_mask(out_buf + written, q + header, (size_t)length, q + header - KEY_SIZE,
                  0);
        written += (size_t)length;
        used += header + (size_t)length;
    }
    return written;
}

static void serve(int fd)
{
    const ssize_t n = recv(fd, read_buf, READ_SIZE, MSG_DONTWAIT);
    const uint8_t *reply = raw ? read_buf : out_buf;
    size_t left;

    if (n != (ssize_t)sent_size) /* it was sent in one go, and nothing else was */
        wire_die("recv");
    left = raw ? sent_size : echo(read_buf, sent_size);
    for (long i = 0; i < (broadcasting ? connections : 1); i++)
        if (send(broadcasting ? served[i] : fd, reply, left,
                 MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)left)
            wire_die("send: too much to have in flight");
}

/* One poll, and all that is ready; returns the nanoseconds that took. */
static uint64_t timed_pass(void)
{
    const uint64_t start = wire_now_ns();
    struct epoll_event ready[EVENTS];
    const int n = epoll_wait(epfd, ready, EVENTS, 0);

    for (int i = 0; i < n; i++)
        serve(ready[i].data.fd);
    return wire_now_ns() - start;
}

static double take_round(void)
{
    uint64_t took = 0;
    const long senders = broadcasting ? 1 : connections;
    long left = senders;

    for (long i = 0; i < senders; i++)
        if (send(peers[i], sent, sent_size, MSG_DONTWAIT) != (ssize_t)sent_size)
            wire_die("send: too much to have in flight");
    for (; left > 0; left -= EVENTS)
        took += timed_pass();
    for (long i = 0; i < connections; i++) {
        if (recv(peers[i], taken, reply_size, MSG_WAITALL) != (ssize_t)reply_size)
            wire_die("recv of a reply");
        if (memcmp(taken, expected, reply_size) != 0) {
            fprintf(stderr, "wrong echo\n");
            exit(1);
        }
    }
    return (double)took / (double)connections / (double)depth;
}

static void connect_all(void)
{
    const int listener = wire_listen("127.0.0.1", 0);
    const int port = wire_port(listener);

    peers = calloc((size_t)connections, sizeof *peers);
    served = calloc((size_t)connections, sizeof *served);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (peers == NULL || served == NULL || epfd < 0)
        wire_die("connect_all");
    for (long i = 0; i < connections; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLET};

        peers[i] = wire_connect("127.0.0.1", port, 0, false);
        served[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (served[i] < 0)
            wire_die("accept4");
        wire_tune(served[i]);
        e.data.fd = served[i];
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, served[i], &e) != 0)
            wire_die("epoll_ctl");
    }
    close(listener);
}

/* The frames of a round, masked, one after the other, and what is to come back. */
static void make_frames(void)
{
    static const uint8_t key[KEY_SIZE] = {0x37, 0xfa, 0x21, 0x3d};
    const size_t most = READ_SIZE / (size_t)depth;
    const uint8_t first = binary ? 0x82 : 0x81;

    if (most < WIRE_HEADER_MAX || size > most - WIRE_HEADER_MAX) {
        fprintf(stderr, "at most %d octets in flight\n", (int)READ_SIZE);
        exit(2);
    }
    for (long i = 0; i < depth; i++) {
        sent_size += wire_header(sent + sent_size, first, size, key);
        memset(sent + sent_size, 'x', size);
        wire_mask(sent + sent_size, sent + sent_size, size, key, 0);
        sent_size += size;
        reply_size += wire_header(expected + reply_size, first, size, NULL);
        memset(expected + reply_size, 'x', size);
        reply_size += size;
    }
    if (raw) {
        memcpy(expected, sent, sent_size);
        reply_size = sent_size;
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"raw", 0, NULL, 'r'},   {"binary", 0, NULL, 'b'},
        {"size", 1, NULL, 's'},  {"connections", 1, NULL, 'n'},
        {"depth", 1, NULL, 'd'}, {"rounds", 1, NULL, 'o'},
        {"core", 1, NULL, 'c'},  {"broadcast", 0, NULL, 'a'},
        {NULL, 0, NULL, 0}};
    double *found;
    int core = -1, o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'r':
            raw = true;
            break;
        case 'a':
            broadcasting = true;
            break;
        case 'b':
            binary = true;
            break;
        case 's':
            size = (size_t)number(optarg, 0, READ_SIZE);
            break;
        case 'n':
            connections = number(optarg, 1, 10000);
            break;
        case 'd':
            depth = number(optarg, 1, READ_SIZE);
            break;
        case 'o':
            rounds = number(optarg, 1, 10000000);
            break;
        case 'c':
            core = (int)number(optarg, -1, 1023);
            break;
        default:
            return 2;
        }
    }
    wire_pin(core);
    make_frames();
    connect_all();
    found = calloc((size_t)rounds, sizeof *found);
    if (found == NULL)
        wire_die("calloc");
    for (long i = -WARM_UP; i < rounds; i++) {
        const double ns = take_round();

        if (i >= 0)
            found[i] = ns;
    }
    qsort(found, (size_t)rounds, sizeof *found, by_value);
    printf("{\"p10\": %.1f, \"shortest\": %.1f, \"median\": %.1f}\n",
           found[rounds / 10], found[0], found[rounds / 2]);
    return 0;
}
