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
    VARIANTS = 16, /* different payloads in turn: an echo out of order shows */
    OPENING = 64   /* opening handshakes at a time */
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

/* The frames as they go out and as they come back: `variants` of them, twice over, so
 * that any `variants` frames in sequence lie in one piece. */
static uint8_t *out_block, *in_block;
static size_t variants, out_size, in_size;

static void make_payload(uint8_t *p, size_t n, unsigned variant)
{
    static const char words[] = "Привет, 世界 "; /* two and three octets a character */
    const size_t word = sizeof words - 1;
    size_t i = 0;

    if (opt.utf8)
        for (; i + word <= n; i += word)
            memcpy(p + i, words, word);
    for (; i < n; i++)
        p[i] = (uint8_t)(' ' + (i * 7 + variant) % 94);
    if (!opt.text)
        for (i = 0; i < n; i++)
            p[i] = (uint8_t)(i * 131 + variant * 17 + 5);
    if (n > 0 && !(opt.utf8 && n >= word))
        p[0] = (uint8_t)('A' + variant);
}

static void make_frames(void)
{
    const uint8_t first = opt.text ? 0x81 : 0x82;
    uint8_t header[WIRE_HEADER_MAX], *payload = malloc(opt.size + 1);
    static const uint8_t some_key[4] = {1, 2, 3, 4};
    size_t copies;

    variants = opt.size <= 65536 ? (opt.depth > VARIANTS ? opt.depth : VARIANTS) : 1;
    copies = variants > 1 ? 2 : 1;
    out_size = wire_header(header, first, opt.size, some_key) + opt.size;
    in_size =
        opt.raw ? out_size : wire_header(header, first, opt.size, NULL) + opt.size;
    out_block = malloc(copies * variants * out_size);
    in_block = opt.raw ? out_block : malloc(copies * variants * in_size);
    if (payload == NULL || out_block == NULL || in_block == NULL)
        wire_die("malloc");
    for (size_t i = 0; i < copies * variants; i++) {
        const unsigned v = (unsigned)(i % variants);
        const uint8_t key[4] = {(uint8_t)(0x9e + v), (uint8_t)(0x37 + 3 * v),
                                (uint8_t)(0x79 ^ v), (uint8_t)(0xb9 - v)};
        uint8_t *p = out_block + i * out_size;

        make_payload(payload, opt.size, v % 26);
        p += wire_header(p, first, opt.size, key);
        wire_mask(p, payload, opt.size, key, 0);
        if (!opt.raw) {
            p = in_block + i * in_size;
            p += wire_header(p, first, opt.size, NULL);
            memcpy(p, payload, opt.size);
        }
    }
    free(payload);
}

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
    const size_t block = variants * out_size, held = variants > 1 ? 2 * block : block;

    while (c->sent < c->goal) {
        const size_t at = (size_t)(c->sent % block);
        const uint64_t want = c->goal - c->sent;
        const size_t n = want < held - at ? (size_t)want : held - at;
        const ssize_t sent =
            send(c->fd, out_block + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

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

    for (uint64_t i = c->goal / out_size; i < goal; i++)
        c->sent_at[i % opt.depth] = now;
    c->goal = goal * out_size;
    conn_send(c);
}

static void conn_check(const conn *c, const uint8_t *p, size_t n)
{
    const size_t block = variants * in_size;
    size_t at = (size_t)(c->received % block);

    while (n > 0) {
        const size_t k = n < block - at ? n : block - at;

        if (memcmp(p, in_block + at, k) != 0) {
            fprintf(stderr, "wrong echo after %llu octets\n",
                    (unsigned long long)c->received);
            exit(1);
        }
        p += k;
        n -= k;
        at = 0;
    }
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
    c->received += (uint64_t)n;
    total_octets += (uint64_t)n;
    frames = c->received / in_size;
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
    messages = (double)(total_octets - octets) / (double)in_size;

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
                conns[k].goal = opt.depth * out_size;
                conn_send(&conns[k]);
            }
            for (unsigned k = i; k < end; k++)
                while (conns[k].received < opt.depth * in_size) {
                    struct pollfd p = {.fd = conns[k].fd, .events = POLLIN};
                    ssize_t n = -1;

                    if (poll(&p, 1, 10000) == 1)
                        n = recv(conns[k].fd, read_buf, READ_SIZE, 0);
                    if (n <= 0)
                        wire_die("no echo");
                    conn_check(&conns[k], read_buf, (size_t)n);
                    conns[k].received += (uint64_t)n;
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
            opt.utf8 = true;
            opt.text = true;
            break;
        case 't':
            opt.text = true;
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
    make_frames();
    if (idling)
        idle();
    else
        echo();
    return 0;
}
