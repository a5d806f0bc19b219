/* client_floor.c -- a plain WebSocket client in C: the floor for clients in Python.
 *
 *   client_floor --port P [--connections N] [--size B] [--seconds S] [--warmup S]
 *                [--core N] [--tls]
 *
 * Request and response: each connection sends a text message, masked with a fresh key,
 * waits for its echo, compares it, and sends the next. One thread that sleeps in epoll,
 * as a client would. Prints one JSON object with its own CPU time. */
#define _GNU_SOURCE
#include "tls.h"
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
    MAX_SIZE = 1 << 17,
    READ_SIZE = 1 << 18,
    EVENTS = 256
};

typedef struct conn {
    int fd;
    tls *tls;        /* NULL for plain TCP */
    size_t received; /* octets of the echo in hand */
    uint8_t *echo;   /* an echo that came in pieces */
    uint8_t *out;    /* what the socket has not taken yet: [out_pos, out_len) */
    size_t out_pos, out_len, out_cap;
} conn;

static uint8_t payload[MAX_SIZE], frame[MAX_SIZE + WIRE_HEADER_MAX];
static uint8_t expected[WIRE_HEADER_MAX];
static uint8_t read_buf[READ_SIZE], plain_buf[READ_SIZE + TLS_ROOM];
static size_t size = 256, echo_header, echo_size;
static uint64_t random_state, messages;

static void conn_write(conn *c, const uint8_t *p, size_t n)
{
    ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        wire_die("send");
    if (sent == (ssize_t)n)
        return;
    p += sent < 0 ? 0 : sent; /* the rest waits for its edge */
    n -= sent < 0 ? 0 : (size_t)sent;
    if (n > c->out_cap) {
        c->out_cap = n;
        c->out = realloc(c->out, n);
        if (c->out == NULL)
            wire_die("realloc");
    }
    memcpy(c->out, p, n);
    c->out_pos = 0;
    c->out_len = n;
}

static void conn_flush(conn *c)
{
    const size_t n = c->out_len - c->out_pos;
    const ssize_t sent = n == 0 ? 0 : send(c->fd, c->out + c->out_pos, n, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        wire_die("send");
    c->out_pos += sent < 0 ? 0 : (size_t)sent;
}

static void conn_send(conn *c)
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
    if (c->tls != NULL) {
        const uint8_t *p;

        tls_seal(c->tls, frame, n);
        p = tls_take(&n);
        conn_write(c, p, n);
    } else {
        conn_write(c, frame, n);
    }
}

static void conn_receive(conn *c)
{
    const uint8_t *echo = read_buf;
    ssize_t n = recv(c->fd, read_buf, READ_SIZE, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && c->tls != NULL) {
        n = tls_open(c->tls, plain_buf, read_buf, (size_t)n);
        if (n == 0)
            return;
        echo = plain_buf;
    }
    if (n <= 0 || c->received + (size_t)n > echo_size)
        wire_die("recv");
    if (c->received != 0 || (size_t)n < echo_size) {
        memcpy(c->echo + c->received, echo, (size_t)n);
        echo = c->echo;
    }
    c->received += (size_t)n;
    if (c->received < echo_size)
        return;
    if (memcmp(echo, expected, echo_header) != 0 ||
        memcmp(echo + echo_header, payload, size) != 0) {
        fprintf(stderr, "wrong echo\n");
        exit(1);
    }
    c->received = 0;
    messages++;
    conn_send(c);
}

/* Connect, and do the opening handshake, after that of TLS. */
static void conn_open(conn *c, int port, unsigned number)
{
    const uint8_t *request;
    size_t n;

    c->fd = wire_connect("127.0.0.1", port, number, false);
    c->echo = malloc(echo_size);
    if (c->echo == NULL)
        wire_die("malloc");
    if (c->tls == NULL) {
        wire_request(c->fd);
        wire_response(c->fd);
        return;
    }
    tls_handshake(c->tls, c->fd);
    request = wire_request_octets(&n);
    tls_seal(c->tls, request, n);
    tls_send(c->fd);
    n = 0;
    do
        n += tls_receive(c->tls, c->fd, plain_buf + n);
    while (!wire_is_response(plain_buf, n));
}

static void run(int epfd, double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until) {
        const int n = epoll_wait(epfd, events, EVENTS, 100);

        for (int i = 0; i < n; i++) {
            if (events[i].events & EPOLLOUT)
                conn_flush(events[i].data.ptr);
            if (events[i].events & ~(unsigned)EPOLLOUT)
                conn_receive(events[i].data.ptr);
        }
    }
}

/* The most memory that this program has had. */
static double peak_mib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = atof(line + 6);
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},   {"core", 1, NULL, 'c'},
        {"size", 1, NULL, 'b'},   {"connections", 1, NULL, 'n'},
        {"warmup", 1, NULL, 'w'}, {"seconds", 1, NULL, 's'},
        {"tls", 0, NULL, 't'},    {NULL, 0, NULL, 0}};
    const int epfd = epoll_create1(EPOLL_CLOEXEC);
    bool secure = false;
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
        case 't':
            secure = true;
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
    echo_header = wire_header(expected, 0x81, size, NULL);
    echo_size = echo_header + size;
    if (secure)
        tls_begin(false);
    conns = calloc(connections, sizeof *conns);
    if (conns == NULL || epfd < 0)
        wire_die("calloc");
    for (unsigned i = 0; i < connections; i++) {
        /* by edges: a short read says that the socket is empty */
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                .data.ptr = &conns[i]};

        conns[i].tls = secure ? tls_new() : NULL;
        conn_open(&conns[i], port, i);
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
           "\"client_wait_s\": %.9f, \"peak_mib\": %.3f}\n",
           (unsigned long long)(messages - count), (double)begin / 1e9,
           (double)cpu / 1e9, (double)wait / 1e9, peak_mib());
    return 0;
}
