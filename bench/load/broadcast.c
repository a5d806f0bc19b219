/* broadcast.c -- broadcasts: one connection sends, and all get it.
 *
 * `depth` messages are on their way at a time; the sender sends the next one when all
 * that read have got the one before. With --stalled one of them does not read, and has
 * a small buffer, so that the server soon has to do something about it; whatever it
 * does, closing the connection included, is right. */
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
    EVENTS = 512,
    OPENING = 64 /* opening handshakes at a time */
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

static void take_some(void)
{
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(epfd, events, EVENTS, opt.sleep ? 10 : 0);

    for (int i = 0; i < n; i++)
        take(events[i].data.ptr);
}

static void run(double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);

    while (wire_now_ns() < until) {
        take_some();
        /* all but `depth` - 1 have come to all, to the last octet */
        while ((sent_messages + 1) * in.frame * count <=
               total_octets + (uint64_t)opt.depth * in.frame * count)
            send_next();
    }
}

/* Open readers[from, to): connected, greeted, in the epoll set if they read. */
static void open_some(unsigned from, unsigned to)
{
    const int small = 4096;
    tls *t = NULL; /* there is none */

    for (unsigned i = from; i < to; i++)
        readers[i].fd = opening_request(i, &t);
    for (unsigned i = from; i < to; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &readers[i]};

        opening_finish(readers[i].fd, t);
        if (i == count) /* nobody reads from this one */
            setsockopt(readers[i].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        else if (epoll_ctl(epfd, EPOLL_CTL_ADD, readers[i].fd, &e) != 0)
            wire_die("epoll_ctl");
    }
}

/* Take what is on its way, so that the server has none of it for the next run. */
static void finish(void)
{
    const uint64_t until = wire_now_ns() + 10000000000u;

    while (total_octets < sent_messages * in.frame * count && wire_now_ns() < until)
        take_some();
}

void load_broadcast(void)
{
    stream_form form = opt.form;
    uint64_t octets;

    if (opt.connections < 2 || opt.depth > 64 || opt.tls || opt.deflate != NULL)
        exit(2);
    count = opt.connections - (opt.stalled ? 1 : 0);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    readers = calloc(opt.connections, sizeof *readers);
    if (epfd < 0 || readers == NULL)
        wire_die("epoll_create1");
    opening_begin();
    form.masked = true;
    out = stream_new(&form, 1);
    form.masked = false;
    form.before = opt.back[0] != NULL ? opt.back[0] : form.before;
    form.after = opt.back[1] != NULL ? opt.back[1] : form.after;
    in = stream_new(&form, 1);
    if (out.is_long)
        exit(2);
    for (unsigned i = 0; i < opt.connections; i += OPENING)
        open_some(i, i + OPENING < opt.connections ? i + OPENING : opt.connections);
    run(opt.warmup_s);

    measuring = true;
    octets = total_octets;
    load_begin();
    run(opt.seconds);
    load_report((double)(total_octets - octets) / (double)in.frame, &latency);
    finish();
}
