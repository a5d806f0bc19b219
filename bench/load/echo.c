/* echo.c -- echoes: N connections, messages in flight, every octet compared.
 *
 * Masked frames are made before the run: what a message costs here is recv, compare,
 * send; with TLS or permessage-deflate also what these cost. */
#define _GNU_SOURCE
#include "inflate.h"
#include "load.h"
#include "opening.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    READ_SIZE = 1 << 18,
    SEAL_SIZE = 1 << 17, /* octets encrypted at a time */
    EVENTS = 512,
    OPENING = 64 /* opening handshakes at a time */
};

/* Octets sent and received are counted from the start of the run; messages all have one
 * length, so that the counts tell which octet of which message is next. */
typedef struct conn {
    int fd;
    bool wants_out;
    uint64_t sent, goal; /* octets sent; octets to be sent for `depth` in flight */
    uint64_t received;   /* octets */
    uint64_t messages;   /* complete echoes */
    uint64_t *sent_at;   /* depth times, of the messages in flight */
    tls *tls;
    uint8_t *cipher; /* ciphertext that the socket did not take: [begin, end) */
    size_t cipher_begin, cipher_end;
    inflater *inflater;
} conn;

static int epfd;
static conn *conns;
static hist latency;
static bool measuring;
static uint64_t total_octets;
static uint8_t read_buf[READ_SIZE], plain_buf[READ_SIZE + TLS_ROOM];

static stream out, in; /* what is sent, and what has to come back */

static void conn_watch(conn *c, bool on)
{
    struct epoll_event e = {.events = EPOLLIN | (on ? EPOLLOUT : 0u), .data.ptr = c};

    if (c->wants_out == on)
        return;
    c->wants_out = on;
    if (epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e) != 0)
        wire_die("epoll_ctl");
}

/* Send one message vector; how much the socket took. */
static size_t conn_sendmsg(const conn *c, struct iovec *iov, size_t count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    const ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && errno != EAGAIN)
        wire_die("send");
    return n < 0 ? 0 : (size_t)n;
}

/* Send ciphertext, and keep what is not taken. */
static void conn_send_cipher(conn *c, const uint8_t *p, size_t n)
{
    struct iovec iov = {.iov_base = (uint8_t *)(uintptr_t)p, .iov_len = n};
    const size_t sent = n != 0 ? conn_sendmsg(c, &iov, 1) : 0;

    if (sent == n)
        return;
    c->cipher = malloc(n - sent);
    if (c->cipher == NULL)
        wire_die("malloc");
    memcpy(c->cipher, p + sent, n - sent);
    c->cipher_begin = 0;
    c->cipher_end = n - sent;
}

static bool conn_flush_cipher(conn *c)
{
    struct iovec iov;

    if (c->cipher == NULL)
        return true;
    iov.iov_base = c->cipher + c->cipher_begin;
    iov.iov_len = c->cipher_end - c->cipher_begin;
    c->cipher_begin += conn_sendmsg(c, &iov, 1);
    if (c->cipher_begin < c->cipher_end)
        return false;
    free(c->cipher);
    c->cipher = NULL;
    return true;
}

/* Encrypt up to the goal and send, as far as the socket takes it. */
static void conn_send_tls(conn *c)
{
    while (conn_flush_cipher(c) && c->sent < c->goal) {
        const uint64_t left = c->goal - c->sent;
        struct iovec iov[STREAM_IOV];
        const uint8_t *p;
        size_t n;
        const int count =
            stream_slice(&out, c->sent, left < SEAL_SIZE ? left : SEAL_SIZE, iov, &n);

        for (int i = 0; i < count; i++)
            tls_seal(c->tls, iov[i].iov_base, iov[i].iov_len);
        c->sent += n;
        p = tls_take(&n);
        conn_send_cipher(c, p, n);
    }
    conn_watch(c, c->cipher != NULL);
}

/* Send up to the goal, in one call where the messages lie in one piece. */
static void conn_send(conn *c)
{
    struct iovec iov[STREAM_IOV];

    if (c->tls != NULL) {
        conn_send_tls(c);
        return;
    }
    while (c->sent < c->goal) {
        size_t n;
        const int count = stream_slice(&out, c->sent, c->goal - c->sent, iov, &n);
        const size_t sent = conn_sendmsg(c, iov, (size_t)count);

        if (sent == 0) {
            conn_watch(c, true);
            return;
        }
        c->sent += sent;
    }
    conn_watch(c, false);
}

/* Put messages in flight until there are `depth` of them. */
static void conn_refill(conn *c, uint64_t now)
{
    const uint64_t goal = c->messages + opt.depth;

    for (uint64_t i = c->goal / out.frame; i < goal; i++)
        c->sent_at[i % opt.depth] = now;
    c->goal = goal * out.frame;
    conn_send(c);
}

static void conn_check(void *pointer, const uint8_t *p, size_t n)
{
    conn *c = pointer;

    if (!stream_equal(&in, c->received, p, n)) {
        fprintf(stderr, "wrong echo after %llu octets\n",
                (unsigned long long)c->received);
        exit(1);
    }
    c->received += n;
    total_octets += n;
}

/* Read once, decrypt, decompress, compare. False: nothing there. */
static bool conn_read(conn *c)
{
    const uint8_t *p = read_buf;
    ssize_t n = recv(c->fd, read_buf, READ_SIZE, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        fprintf(stderr, "end of stream from the server\n");
        exit(1);
    }
    if (c->tls != NULL) {
        size_t more;

        n = tls_open(c->tls, plain_buf, read_buf, (size_t)n);
        if (n < 0) {
            fprintf(stderr, "end of TLS from the server\n");
            exit(1);
        }
        p = tls_take(&more); /* what TLS itself has to answer */
        if (more != 0) {
            if (c->cipher != NULL)
                wire_die("TLS has to answer, but the socket is full");
            conn_send_cipher(c, p, more);
        }
        p = plain_buf;
    }
    if (c->inflater != NULL)
        inflater_take(c->inflater, p, (size_t)n, conn_check, c);
    else
        conn_check(c, p, (size_t)n);
    return true;
}

static void conn_receive(conn *c)
{
    uint64_t messages, now;

    if (!conn_read(c))
        return;
    messages = c->received / in.frame;
    if (messages == c->messages)
        return;
    now = wire_now_ns();
    if (measuring)
        for (uint64_t i = c->messages; i < messages; i++)
            hist_add(&latency, now - c->sent_at[i % opt.depth]);
    c->messages = messages;
    conn_refill(c, now);
}

/* Open conns[from, to): connected, greeted, in the epoll set. */
static void open_all(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i += OPENING) {
        const unsigned end = i + OPENING < to ? i + OPENING : to;

        for (unsigned k = i; k < end; k++) {
            conns[k].fd = opening_request(k, &conns[k].tls);
            conns[k].sent_at = calloc(opt.depth, sizeof(uint64_t));
            conns[k].inflater = opt.deflate != NULL ? inflater_new() : NULL;
            if (conns[k].sent_at == NULL)
                wire_die("calloc");
        }
        for (unsigned k = i; k < end; k++) {
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[k]};

            opening_finish(conns[k].fd, conns[k].tls);
            if (epoll_ctl(epfd, EPOLL_CTL_ADD, conns[k].fd, &e) != 0)
                wire_die("epoll_ctl");
        }
    }
}

/* Serve the connections until `until`. */
static void run(double seconds)
{
    const uint64_t until = wire_now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until) {
        const int n = epoll_wait(epfd, events, EVENTS, opt.sleep ? 10 : 0);

        for (int i = 0; i < n; i++) {
            conn *c = events[i].data.ptr;

            if (events[i].events & EPOLLOUT)
                conn_send(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_receive(c);
        }
    }
}

static void prepare(void)
{
    stream_form form = opt.form;

    epfd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(opt.connections, sizeof *conns);
    if (epfd < 0 || conns == NULL)
        wire_die("epoll_create1");
    opening_begin();
    form.masked = true;
    form.deflated = opt.deflate != NULL;
    out = stream_new(&form, opt.depth);
    form.before = opt.back[0] != NULL ? opt.back[0] : form.before;
    form.after = opt.back[1] != NULL ? opt.back[1] : form.after;
    form.masked = opt.raw;
    if (!opt.raw) {
        form.fragments = 1;
        form.bare = form.deflated; /* what comes out of the inflater */
        form.repeated = form.deflated;
        form.deflated = false;
    }
    in = stream_new(&form, 1);
}

void load_echo(void)
{
    uint64_t octets;

    prepare();
    open_all(0, opt.connections);
    for (unsigned i = 0; i < opt.connections; i++)
        conn_refill(&conns[i], wire_now_ns());
    run(opt.warmup_s);

    measuring = true;
    octets = total_octets;
    load_begin();
    run(opt.seconds);
    load_report((double)(total_octets - octets) / (double)in.frame, &latency);
}

void load_idle(void)
{
    unsigned open = 0, more;

    prepare();
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (scanf("%u", &more) == 1 && open + more <= opt.connections) {
        open_all(open, open + more);
        for (unsigned i = open; i < open + more; i += OPENING) {
            const unsigned end = i + OPENING < open + more ? i + OPENING : open + more;

            for (unsigned k = i; k < end; k++) {
                conns[k].goal = opt.depth * out.frame;
                conn_send(&conns[k]);
            }
            for (unsigned k = i; k < end; k++)
                while (conns[k].received < opt.depth * in.frame) {
                    struct pollfd p = {.fd = conns[k].fd, .events = POLLIN};

                    if (poll(&p, 1, 10000) != 1 || !conn_read(&conns[k]))
                        wire_die("no echo");
                }
        }
        open += more;
        printf("open %u\n", open);
    }
}
