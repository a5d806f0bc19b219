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
    uint64_t begun;
} slot;

/* FIN and Close, masked with zeroes, code 1000. */
static const uint8_t close_frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};

static int epfd;
static uint64_t handshakes;
static hist latency;
static bool measuring;

static void slot_open(slot *s)
{
    static unsigned source;
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = s};

    s->greeted = s->open = false;
    s->begun = wire_now_ns();
    s->fd = wire_connect(opt.host, opt.port, source++, true);
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &e) != 0)
        wire_die("epoll_ctl");
}

static void slot_ready(slot *s)
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
    if (measuring)
        hist_add(&latency, wire_now_ns() - s->begun);
    slot_open(s);
}

static void run(double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until) {
        const int n = epoll_wait(epfd, events, EVENTS, opt.sleep ? 10 : 0);

        for (int i = 0; i < n; i++)
            slot_ready(events[i].data.ptr);
    }
}

void load_storm(void)
{
    slot *slots = calloc(opt.connections, sizeof *slots);
    uint64_t count;

    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (slots == NULL || epfd < 0)
        wire_die("epoll_create1");
    for (unsigned i = 0; i < opt.connections; i++)
        slot_open(&slots[i]);
    run(opt.warmup_s);

    measuring = true;
    count = handshakes;
    load_begin();
    run(opt.seconds);
    load_report((double)(handshakes - count), &latency);
}
