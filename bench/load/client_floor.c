/* client_floor.c -- a plain WebSocket client in C: the floor for clients in Python.
 *
 *   client_floor --port P [--connections N] [--size B] [--seconds S] [--warmup S]
 * [--core N]
 *
 * Request and response: each connection sends a text message, masked with a fresh key,
 * waits for its echo, compares it, and sends the next. One thread that sleeps in epoll,
 * as a client would. Prints one JSON object with its own CPU time. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_SIZE = 65535,
    EVENTS = 256
};

typedef struct conn {
    int fd;
    size_t received; /* octets of the echo in hand */
    uint8_t *echo;   /* an echo that came in pieces */
} conn;

static uint8_t payload[MAX_SIZE], frame[MAX_SIZE + WIRE_HEADER_MAX];
static uint8_t read_buf[MAX_SIZE + WIRE_HEADER_MAX];
static size_t size = 256, echo_size;
static uint64_t random_state, messages;

static void conn_send(const conn *c)
{
    uint8_t key[4];
    size_t n;

    random_state ^= random_state << 13; /* xorshift: fresh, not strong */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    memcpy(key, &random_state, 4);
    n = wire_header(frame, 0x81, size, key);
    wire_mask(frame + n, payload, size, key, 0);
    n += size;
    if (send(c->fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n) /* one in flight: it fits */
        wire_die("send");
}

static void conn_receive(conn *c)
{
    uint8_t expected[WIRE_HEADER_MAX];
    const size_t header = wire_header(expected, 0x81, size, NULL);
    const ssize_t n = recv(c->fd, read_buf, sizeof read_buf, MSG_DONTWAIT);
    const uint8_t *echo = read_buf;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || c->received + (size_t)n > echo_size)
        wire_die("recv");
    if (c->received != 0 || (size_t)n < echo_size) {
        memcpy(c->echo + c->received, read_buf, (size_t)n);
        echo = c->echo;
    }
    c->received += (size_t)n;
    if (c->received < echo_size)
        return;
    if (memcmp(echo, expected, header) != 0 ||
        memcmp(echo + header, payload, size) != 0) {
        fprintf(stderr, "wrong echo\n");
        exit(1);
    }
    c->received = 0;
    messages++;
    conn_send(c);
}

static void run(int epfd, double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until) {
        const int n = epoll_wait(epfd, events, EVENTS, 100);

        for (int i = 0; i < n; i++)
            conn_receive(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},   {"core", 1, NULL, 'c'},
        {"size", 1, NULL, 'b'},   {"connections", 1, NULL, 'n'},
        {"warmup", 1, NULL, 'w'}, {"seconds", 1, NULL, 's'},
        {NULL, 0, NULL, 0}};
    const int epfd = epoll_create1(EPOLL_CLOEXEC);
    uint8_t header[WIRE_HEADER_MAX];
    double warmup_s = 0.3, seconds = 1;
    unsigned connections = 32;
    int port = 0, core = -1, o;
    uint64_t begin, cpu, wait, count;
    conn *conns;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'p':
            port = atoi(optarg);
            break;
        case 'c':
            core = atoi(optarg);
            break;
        case 'b':
            size = (size_t)atoll(optarg);
            break;
        case 'n':
            connections = (unsigned)atoi(optarg);
            break;
        case 'w':
            warmup_s = atof(optarg);
            break;
        case 's':
            seconds = atof(optarg);
            break;
        default:
            return 2;
        }
    }
    if (port == 0 || connections == 0 || size > MAX_SIZE)
        return 2;
    wire_pin(core);
    random_state = wire_now_ns() | 1;
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(' ' + i % 94);
    echo_size = wire_header(header, 0x81, size, NULL) + size;
    conns = calloc(connections, sizeof *conns);
    if (conns == NULL || epfd < 0)
        wire_die("calloc");
    for (unsigned i = 0; i < connections; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};

        conns[i].fd = wire_connect("127.0.0.1", port, i, false);
        conns[i].echo = malloc(echo_size);
        if (conns[i].echo == NULL)
            wire_die("malloc");
        wire_request(conns[i].fd);
        wire_response(conns[i].fd);
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, conns[i].fd, &e) != 0)
            wire_die("epoll_ctl");
    }
    for (unsigned i = 0; i < connections; i++)
        conn_send(&conns[i]);
    run(epfd, warmup_s);

    count = messages;
    wait = wire_wait_ns(0);
    begin = wire_now_ns();
    cpu = wire_cpu_ns((int)getpid());
    run(epfd, seconds);
    cpu = wire_cpu_ns((int)getpid()) - cpu;
    begin = wire_now_ns() - begin;
    wait = wire_wait_ns(0) - wait;
    printf("{\"messages\": %llu, \"wall_s\": %.6f, \"client_cpu_s\": %.9f, "
           "\"client_wait_s\": %.9f}\n",
           (unsigned long long)(messages - count), (double)begin / 1e9,
           (double)cpu / 1e9, (double)wait / 1e9);
    return 0;
}
