/* storm.c -- handshakes: connections are opened, greeted and closed, over and over.
 *
 * Each slot holds one connection on its way: connect, request, 101 response, Close
 * frame, the server's Close frame and end of stream. The server closes TCP first, as
 * RFC 6455 section 7.1.1 wants it. */
#define _GNU_SOURCE
#include "load.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512
};

typedef struct slot {
    int fd;
    bool greeted; /* the request is sent */
    bool open;    /* the response has come, the Close frame is sent */
} slot;

/* FIN and Close, masked with zeroes, code 1000. */
static const uint8_t close_frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};

static int epfd;
static uint64_t handshakes;

static void slot_open(slot *s, const load_options *options)
{
    static unsigned source;
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = s};

    s->greeted = s->open = false;
    s->fd = wire_connect(options->host, options->port, source++, true);
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &e) != 0)
        wire_die("epoll_ctl");
}

static void slot_ready(slot *s, const load_options *options)
{
    uint8_t buf[4096];
    ssize_t n;

    if (!s->greeted) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};

        wire_request(s->fd);
        s->greeted = true;
        if (epoll_ctl(epfd, EPOLL_CTL_MOD, s->fd, &e) != 0)
            wire_die("epoll_ctl");
        return;
    }
    if (!s->open) {
        wire_response(s->fd);
        s->open = true;
        if (send(s->fd, close_frame, sizeof close_frame, MSG_NOSIGNAL) < 0)
            wire_die("send");
        return;
    }
    n = recv(s->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0 && buf[0] != 0x88) {
        fprintf(stderr, "not a Close frame\n");
        exit(1);
    }
    if (n > 0 || (n < 0 && errno == EAGAIN))
        return;
    close(s->fd); /* leaves the epoll set with it */
    handshakes++;
    slot_open(s, options);
}

static void run(const load_options *options, double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until) {
        const int n = epoll_wait(epfd, events, EVENTS, options->sleep ? 10 : 0);

        for (int i = 0; i < n; i++)
            slot_ready(events[i].data.ptr, options);
    }
}

void load_storm(const load_options *options)
{
    slot *slots = calloc(options->connections, sizeof *slots);
    uint64_t begin, count, server, own, server_wait = 0, own_wait;

    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (slots == NULL || epfd < 0)
        wire_die("epoll_create1");
    for (unsigned i = 0; i < options->connections; i++)
        slot_open(&slots[i], options);
    run(options, options->warmup_s);

    count = handshakes;
    if (options->server_pid != 0)
        server_wait = wire_wait_ns(options->server_pid);
    own_wait = wire_wait_ns(0);
    begin = wire_now_ns();
    own = wire_cpu_ns((int)getpid());
    server = wire_cpu_ns(options->server_pid);
    run(options, options->seconds);
    server = wire_cpu_ns(options->server_pid) - server;
    own = wire_cpu_ns((int)getpid()) - own;
    begin = wire_now_ns() - begin;
    if (options->server_pid != 0)
        server_wait = wire_wait_ns(options->server_pid) - server_wait;
    own_wait = wire_wait_ns(0) - own_wait;
    printf(
        "{\"messages\": %llu, \"wall_s\": %.6f, \"server_cpu_s\": %.9f, "
        "\"client_cpu_s\": %.9f, \"server_wait_s\": %.9f, \"client_wait_s\": %.9f}\n",
        (unsigned long long)(handshakes - count), (double)begin / 1e9,
        (double)server / 1e9, (double)own / 1e9, (double)server_wait / 1e9,
        (double)own_wait / 1e9);
}
