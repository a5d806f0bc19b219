/* client.c -- the load: a native client that spins, and reads the server's clock.
 *
 *   client --port P [--connections N] [--size B] [--depth D] [--seconds S] [--warmup S]
 *          [--pid P] [--core N] [--kind KIND] [--fragments N] [--raw] [--tls]
 *          [--deflate PARAMETERS] [--path PATH] [--expect TEXT | --say TEXT]...
 *          [--before TEXT] [--after TEXT] [--back-before TEXT] [--back-after TEXT]
 *          [--sleep] [--storm | --idle | --broadcast [--stalled]]
 *
 * One thread that spins on its epoll, so that the server never pays for waking it.
 * Prints one JSON object. --pid is the server, whose CPU time is read at both ends of
 * the measured seconds.
 *
 * What stands above WebSocket is told by octets: --expect and --say are the messages
 * before the first one, in order; --before and --after are what is around each payload
 * that is sent, --back-before and --back-after around each that comes back. */
#include "load.h"

#include "wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

load_options opt = {
    .host = "127.0.0.1",
    .core = -1,
    .connections = 1,
    .depth = 1,
    .form = {.size = 64, .kind = STREAM_BINARY},
    .warmup_s = 0.3,
    .seconds = 1,
    .path = "/",
};

typedef struct clocks {
    uint64_t wall, server, own, server_wait, own_wait;
} clocks;

static clocks begin;

static clocks read_clocks(void)
{
    clocks c;

    c.server_wait = opt.server_pid != 0 ? wire_wait_ns(opt.server_pid) : 0;
    c.own_wait = wire_wait_ns(0);
    c.wall = wire_now_ns();
    c.own = wire_cpu_ns((int)getpid());
    c.server = wire_cpu_ns(opt.server_pid);
    return c;
}

void load_begin(void)
{
    begin = read_clocks();
}

void load_report(double messages, const hist *latency)
{
    static const struct {
        const char *name;
        double share;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    const clocks end = read_clocks();

    printf("{\"messages\": %.2f, \"wall_s\": %.6f, \"server_cpu_s\": %.9f, "
           "\"client_cpu_s\": %.9f, \"server_wait_s\": %.9f, \"client_wait_s\": %.9f",
           messages, (double)(end.wall - begin.wall) / 1e9,
           (double)(end.server - begin.server) / 1e9,
           (double)(end.own - begin.own) / 1e9,
           (double)(end.server_wait - begin.server_wait) / 1e9,
           (double)(end.own_wait - begin.own_wait) / 1e9);
    for (size_t i = 0; latency != NULL && i < sizeof points / sizeof *points; i++)
        printf(", \"%s_us\": %.2f", points[i].name,
               hist_quantile(latency, points[i].share) / 1e3);
    printf("}\n");
}

static stream_kind kind_of(const char *name)
{
    static const char *const names[] = {
        [STREAM_TEXT] = "text", [STREAM_LETTERS] = "letters", [STREAM_LATIN] = "latin",
        [STREAM_UTF8] = "utf8", [STREAM_CJK] = "cjk",         [STREAM_EMOJI] = "emoji",
        [STREAM_JSON] = "json", [STREAM_BINARY] = "binary"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return (stream_kind)i;
    fprintf(stderr, "no such kind: %s\n", name);
    exit(2);
}

static void add_step(bool say, const char *text)
{
    if (opt.steps_count == LOAD_STEPS) {
        fprintf(stderr, "too many steps\n");
        exit(2);
    }
    opt.steps[opt.steps_count++] = (load_step){say, text};
}

enum {
    HOST = 256,
    PORT,
    PID,
    CORE,
    SIZE,
    CONNECTIONS,
    DEPTH,
    WARMUP,
    SECONDS,
    KIND,
    FRAGMENTS,
    DEFLATE,
    PATH,
    EXPECT,
    SAY,
    BEFORE,
    AFTER,
    BACK_BEFORE,
    BACK_AFTER,
    RAW,
    TLS,
    SLEEP,
    STALLED,
    STORM,
    IDLE,
    BROADCAST
};

static const struct option options[] = {{"host", 1, NULL, HOST},
                                        {"port", 1, NULL, PORT},
                                        {"pid", 1, NULL, PID},
                                        {"core", 1, NULL, CORE},
                                        {"size", 1, NULL, SIZE},
                                        {"connections", 1, NULL, CONNECTIONS},
                                        {"depth", 1, NULL, DEPTH},
                                        {"warmup", 1, NULL, WARMUP},
                                        {"seconds", 1, NULL, SECONDS},
                                        {"kind", 1, NULL, KIND},
                                        {"fragments", 1, NULL, FRAGMENTS},
                                        {"deflate", 1, NULL, DEFLATE},
                                        {"path", 1, NULL, PATH},
                                        {"expect", 1, NULL, EXPECT},
                                        {"say", 1, NULL, SAY},
                                        {"before", 1, NULL, BEFORE},
                                        {"after", 1, NULL, AFTER},
                                        {"back-before", 1, NULL, BACK_BEFORE},
                                        {"back-after", 1, NULL, BACK_AFTER},
                                        {"raw", 0, NULL, RAW},
                                        {"tls", 0, NULL, TLS},
                                        {"sleep", 0, NULL, SLEEP},
                                        {"stalled", 0, NULL, STALLED},
                                        {"storm", 0, NULL, STORM},
                                        {"idle", 0, NULL, IDLE},
                                        {"broadcast", 0, NULL, BROADCAST},
                                        {NULL, 0, NULL, 0}};

static void (*mode)(void) = load_echo;

static void option(int o)
{
    switch (o) {
    case HOST:
        opt.host = optarg;
        break;
    case PORT:
        opt.port = atoi(optarg);
        break;
    case PID:
        opt.server_pid = atoi(optarg);
        break;
    case CORE:
        opt.core = atoi(optarg);
        break;
    case SIZE:
        opt.form.size = (size_t)atoll(optarg);
        break;
    case CONNECTIONS:
        opt.connections = (unsigned)atoi(optarg);
        break;
    case DEPTH:
        opt.depth = (unsigned)atoi(optarg);
        break;
    case WARMUP:
        opt.warmup_s = atof(optarg);
        break;
    case SECONDS:
        opt.seconds = atof(optarg);
        break;
    case KIND:
        opt.form.kind = kind_of(optarg);
        break;
    case FRAGMENTS:
        opt.form.fragments = (unsigned)atoi(optarg);
        break;
    case DEFLATE:
        opt.deflate = optarg;
        break;
    case PATH:
        opt.path = optarg;
        break;
    case EXPECT:
        add_step(false, optarg);
        break;
    case SAY:
        add_step(true, optarg);
        break;
    case BEFORE:
        opt.form.before = optarg;
        break;
    case AFTER:
        opt.form.after = optarg;
        break;
    case BACK_BEFORE:
        opt.back[0] = optarg;
        break;
    case BACK_AFTER:
        opt.back[1] = optarg;
        break;
    case RAW:
        opt.raw = true;
        break;
    case TLS:
        opt.tls = true;
        break;
    case SLEEP:
        opt.sleep = true;
        break;
    case STALLED:
        opt.stalled = true;
        break;
    case STORM:
        mode = load_storm;
        break;
    case IDLE:
        mode = load_idle;
        break;
    case BROADCAST:
        mode = load_broadcast;
        break;
    default:
        exit(2);
    }
}

int main(int argc, char **argv)
{
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
        option(o);
    if (opt.port == 0 || opt.connections == 0 || opt.depth == 0)
        return 2;
    wire_pin(opt.core);
    mode();
    return 0;
}
