/* broadcast.c -- broadcasts: one connection sends, all get it, one of them does not
 * read.
 *
 * `depth` messages are on their way at a time; the sender sends the next one when all
 * that read have got the one before. The one that does not read has a small buffer, so
 * that the server soon has to do something about it; whatever it does, closing the
 * connection included, is right. */
#define _GNU_SOURCE
#include "load.h"
#include "opening.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    READ_SIZE = 1 << 16,
    EVENTS = 512
};

typedef struct reader {
    int fd;
    uint64_t received; /* octets */
} reader;

static int epfd;
static reader *readers; /* the first of them sends */
static unsigned count;
static stream out, in;
static uint64_t total_octets, sent_messages, sent_at[64];
static hist latency;
static bool measuring;
static uint8_t read_buf[READ_SIZE];

static void send_next(void)
{
    struct iovec iov[STREAM_IOV];
    size_t n;

    (void)stream_slice(&out, sent_messages * out.frame, out.frame, iov, &n);
    if (send(readers[0].fd, iov[0].iov_base, out.frame, MSG_NOSIGNAL) !=
        (ssize_t)out.frame)
        wire_die("send");
    sent_at[sent_messages++ % 64] = wire_now_ns();
}

static void take(reader *r)
{
    const ssize_t n = recv(r->fd, read_buf, READ_SIZE, MSG_DONTWAIT);
    uint64_t first;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fprintf(stderr, "end of stream from the server\n");
        exit(1);
    }
    if (!stream_equal(&in, r->received, read_buf, (size_t)n)) {
        fprintf(stderr, "wrong broadcast after %llu octets\n",
                (unsigned long long)r->received);
        exit(1);
    }
    first = r->received / in.frame;
    r->received += (uint64_t)n;
    total_octets += (uint64_t)n;
    if (measuring) {
        const uint64_t now = wire_now_ns();

        for (; first < r->received / in.frame; first++)
            hist_add(&latency, now - sent_at[first % 64]);
    }
}

static void run(double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until) {
        const int n = epoll_wait(epfd, events, EVENTS, opt.sleep ? 10 : 0);

        for (int i = 0; i < n; i++)
            take(events[i].data.ptr);
        while (sent_messages * in.frame * count < /* so many have come to all */
               total_octets + (uint64_t)opt.depth * in.frame * count)
            send_next();
    }
}

void load_broadcast(void)
{
    const int small = 4096;
    stream_form form = opt.form;
    uint64_t octets;
    tls *t;

    if (opt.connections < 2 || opt.depth > 64 || opt.tls || opt.deflate != NULL)
        exit(2);
    count = opt.connections - 1;
    epfd = epoll_create1(EPOLL_CLOEXEC);
    readers = calloc(opt.connections, sizeof *readers);
    if (epfd < 0 || readers == NULL)
        wire_die("epoll_create1");
    opening_begin();
    form.masked = true;
    out = stream_new(&form, 1);
    form.masked = false;
    in = stream_new(&form, 1);
    if (out.is_long)
        exit(2);
    for (unsigned i = 0; i < opt.connections; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &readers[i]};

        readers[i].fd = opening_request(i, &t);
        opening_finish(readers[i].fd, t);
        if (i == count) /* nobody reads from this one */
            setsockopt(readers[i].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        else if (epoll_ctl(epfd, EPOLL_CTL_ADD, readers[i].fd, &e) != 0)
            wire_die("epoll_ctl");
    }
    run(opt.warmup_s);

    measuring = true;
    octets = total_octets;
    load_begin();
    run(opt.seconds);
    load_report((double)(total_octets - octets) / (double)in.frame, &latency);
}
