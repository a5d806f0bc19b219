/* client.c -- the load: N connections, messages in flight, every echo checked.
 *
 *   client --port P [--connections N] [--size B] [--depth D] [--seconds S] [--warmup S]
 *          [--pid P] [--core N] [--text | --utf8] [--raw] [--sleep] [--storm | --idle]
 *
 * One thread that spins on its epoll, so that the server never pays for waking it.
 * Masked frames are made before the run: what a message costs here is recv, compare,
 * send. Prints one JSON object. --pid is the server, whose CPU time is read at both
 * ends of the measured seconds.
 *
 * --storm opens and closes connections instead (storm.c). --idle reads lines "N" from
 * standard input, opens N more connections, echoes one message on each, and answers
 * "open TOTAL". */
#define _GNU_SOURCE
#include "hist.h"
#include "load.h"
#include "stream.h"
#include "wire.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_SIZE = 1 << 18,
    EVENTS = 512,
    OPENING = 64 /* opening handshakes at a time */
};

/* Octets sent and received are counted from the start of the run; frames all have one
 * length, so that the counts tell which octet of which frame is next. */
typedef struct conn {
    int fd;
    bool wants_out;
    uint64_t sent, goal; /* octets sent; octets to be sent for `depth` in flight */
    uint64_t received;   /* octets */
    uint64_t frames;     /* complete echoes */
    uint64_t *sent_at;   /* depth times, of the messages in flight */
} conn;

static load_options opt = {
    .host = "127.0.0.1",
    .core = -1,
    .connections = 1,
    .size = 64,
    .depth = 1,
    .warmup_s = 0.3,
    .seconds = 1,
};
static int epfd;
static conn *conns;
static hist latency;
static bool measuring;
static uint64_t total_octets, empty_polls;
static uint8_t read_buf[READ_SIZE];

static stream out, in; /* what is sent, and what has to come back */

static void conn_watch(conn *c, bool out)
{
    struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c};

    if (c->wants_out == out)
        return;
    c->wants_out = out;
    if (epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e) != 0)
        wire_die("epoll_ctl");
}

/* Send up to the goal, in one call where the frames lie in one piece. */
static void conn_send(conn *c)
{
    struct iovec iov[STREAM_IOV];
    struct msghdr message = {.msg_iov = iov};

    while (c->sent < c->goal) {
        size_t n;
        ssize_t sent;

        message.msg_iovlen =
            (size_t)stream_slice(&out, c->sent, c->goal - c->sent, iov, &n);
        sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno != EAGAIN)
                wire_die("send");
            conn_watch(c, true);
            return;
        }
        c->sent += (uint64_t)sent;
    }
    conn_watch(c, false);
}

/* Put messages in flight until there are `depth` of them. */
static void conn_refill(conn *c, uint64_t now)
{
    const uint64_t goal = c->frames + opt.depth;

    for (uint64_t i = c->goal / out.frame; i < goal; i++)
        c->sent_at[i % opt.depth] = now;
    c->goal = goal * out.frame;
    conn_send(c);
}

static void conn_check(conn *c, const uint8_t *p, size_t n)
{
    if (!stream_equal(&in, c->received, p, n)) {
        fprintf(stderr, "wrong echo after %llu octets\n",
                (unsigned long long)c->received);
        exit(1);
    }
    c->received += n;
}

static void conn_receive(conn *c)
{
    const ssize_t n = recv(c->fd, read_buf, READ_SIZE, MSG_DONTWAIT);
    uint64_t frames, now;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fprintf(stderr, "end of stream from the server\n");
        exit(1);
    }
    conn_check(c, read_buf, (size_t)n);
    total_octets += (uint64_t)n;
    frames = c->received / in.frame;
    if (frames == c->frames)
        return;
    now = wire_now_ns();
    if (measuring)
        for (uint64_t i = c->frames; i < frames; i++)
            hist_add(&latency, now - c->sent_at[i % opt.depth]);
    c->frames = frames;
    conn_refill(c, now);
}

/* Open conns[from, to): connected, greeted, in the epoll set. */
static void open_all(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i += OPENING) {
        const unsigned end = i + OPENING < to ? i + OPENING : to;

        for (unsigned k = i; k < end; k++) {
            conns[k].fd = wire_connect(opt.host, opt.port, k, false);
            conns[k].sent_at = calloc(opt.depth, sizeof(uint64_t));
            if (conns[k].sent_at == NULL)
                wire_die("calloc");
            if (!opt.raw)
                wire_request(conns[k].fd);
        }
        for (unsigned k = i; k < end; k++) {
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[k]};

            if (!opt.raw)
                wire_response(conns[k].fd);
            if (epoll_ctl(epfd, EPOLL_CTL_ADD, conns[k].fd, &e) != 0)
                wire_die("epoll_ctl");
        }
    }
}

/* Serve the connections until `until`, or until `octets` more have come if not 0. */
static void run(uint64_t until, uint64_t octets)
{
    const uint64_t goal = total_octets + octets;
    struct epoll_event events[EVENTS];

    while (wire_now_ns() < until && (octets == 0 || total_octets < goal)) {
        const int n = epoll_wait(epfd, events, EVENTS, opt.sleep ? 10 : 0);

        empty_polls += n == 0;
        for (int i = 0; i < n; i++) {
            conn *c = events[i].data.ptr;

            if (events[i].events & EPOLLOUT)
                conn_send(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_receive(c);
        }
    }
}

static uint64_t after(double seconds)
{
    return wire_now_ns() + (uint64_t)(seconds * 1e9);
}

static void echo(void)
{
    uint64_t begin, octets, server, own, waits[2];
    double wall, messages;

    open_all(0, opt.connections);
    for (unsigned i = 0; i < opt.connections; i++)
        conn_refill(&conns[i], wire_now_ns());
    run(after(opt.warmup_s), 0);

    measuring = true;
    empty_polls = 0;
    octets = total_octets;
    waits[0] = opt.server_pid != 0 ? wire_wait_ns(opt.server_pid) : 0;
    waits[1] = wire_wait_ns(0);
    begin = wire_now_ns();
    own = wire_cpu_ns((int)getpid());
    server = wire_cpu_ns(opt.server_pid);
    run(after(opt.seconds), 0);
    server = wire_cpu_ns(opt.server_pid) - server;
    own = wire_cpu_ns((int)getpid()) - own;
    wall = (double)(wire_now_ns() - begin) / 1e9;
    waits[0] = opt.server_pid != 0 ? wire_wait_ns(opt.server_pid) - waits[0] : 0;
    waits[1] = wire_wait_ns(0) - waits[1];
    messages = (double)(total_octets - octets) / (double)in.frame;

    printf(
        "{\"messages\": %.2f, \"wall_s\": %.6f, \"server_cpu_s\": %.9f, "
        "\"client_cpu_s\": %.9f, \"server_wait_s\": %.9f, \"client_wait_s\": %.9f, "
        "\"empty_polls\": %llu, \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, "
        "\"p999_us\": %.2f}\n",
        messages, wall, (double)server / 1e9, (double)own / 1e9, (double)waits[0] / 1e9,
        (double)waits[1] / 1e9, (unsigned long long)empty_polls,
        hist_quantile(&latency, 0.5) / 1e3, hist_quantile(&latency, 0.9) / 1e3,
        hist_quantile(&latency, 0.99) / 1e3, hist_quantile(&latency, 0.999) / 1e3);
}

static void idle(void)
{
    unsigned open = 0, more;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (scanf("%u", &more) == 1 && open + more <= opt.connections) {
        open_all(open, open + more);
        for (unsigned i = open; i < open + more; i += OPENING) {
            const unsigned end = i + OPENING < open + more ? i + OPENING : open + more;

            for (unsigned k = i; k < end; k++) {
                conns[k].frames = 0;
                conns[k].goal = opt.depth * out.frame;
                conn_send(&conns[k]);
            }
            for (unsigned k = i; k < end; k++)
                while (conns[k].received < opt.depth * in.frame) {
                    struct pollfd p = {.fd = conns[k].fd, .events = POLLIN};
                    ssize_t n = -1;

                    if (poll(&p, 1, 10000) == 1)
                        n = recv(conns[k].fd, read_buf, READ_SIZE, 0);
                    if (n <= 0)
                        wire_die("no echo");
                    conn_check(&conns[k], read_buf, (size_t)n);
                }
        }
        open += more;
        printf("open %u\n", open);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"host", 1, NULL, 'h'},    {"port", 1, NULL, 'p'},
        {"pid", 1, NULL, 'P'},     {"core", 1, NULL, 'c'},
        {"size", 1, NULL, 'b'},    {"connections", 1, NULL, 'n'},
        {"depth", 1, NULL, 'd'},   {"warmup", 1, NULL, 'w'},
        {"seconds", 1, NULL, 's'}, {"text", 0, NULL, 't'},
        {"utf8", 0, NULL, 'u'},    {"raw", 0, NULL, 'r'},
        {"sleep", 0, NULL, 'S'},   {"storm", 0, NULL, 'm'},
        {"idle", 0, NULL, 'i'},    {NULL, 0, NULL, 0}};
    void (*mode)(const load_options *) = NULL;
    stream_kind kind = STREAM_BINARY;
    bool idling = false;
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'h':
            opt.host = optarg;
            break;
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'P':
            opt.server_pid = atoi(optarg);
            break;
        case 'c':
            opt.core = atoi(optarg);
            break;
        case 'b':
            opt.size = (size_t)atoll(optarg);
            break;
        case 'n':
            opt.connections = (unsigned)atoi(optarg);
            break;
        case 'd':
            opt.depth = (unsigned)atoi(optarg);
            break;
        case 'w':
            opt.warmup_s = atof(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'u':
            kind = STREAM_UTF8;
            break;
        case 't':
            kind = STREAM_TEXT;
            break;
        case 'r':
            opt.raw = true;
            break;
        case 'S':
            opt.sleep = true;
            break;
        case 'm':
            mode = load_storm;
            break;
        case 'i':
            idling = true;
            break;
        default:
            return 2;
        }
    }
    if (opt.port == 0 || opt.connections == 0 || opt.depth == 0)
        return 2;
    wire_pin(opt.core);
    if (mode != NULL) {
        mode(&opt);
        return 0;
    }
    epfd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(opt.connections, sizeof *conns);
    if (epfd < 0 || conns == NULL)
        wire_die("epoll_create1");
    out = stream_new(kind, opt.size, true, opt.depth);
    in = stream_new(kind, opt.size, opt.raw, 1);
    if (idling)
        idle();
    else
        echo();
    return 0;
}
