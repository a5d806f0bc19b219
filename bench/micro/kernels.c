/* kernels.c -- the kernels of csrc/ in nanoseconds and GB/s, each beside the next one
 * down, and beside what they are measured against:
 *   memcpy and a plain loop over AVX-512 vectors for masking,
 *   simdutf for UTF-8, if it was built in (make SIMDUTF=folder-of-simdutf.cpp).
 *
 * kernels [mask|ascii|utf8|transcode] [size]   all of them, all sizes, without.
 *
 * Each figure is the shortest of many runs: what the machine can do, undisturbed. */
#define _POSIX_C_SOURCE 199309L
#include "wsf_cpu.h"
#include "wsf_mask.h"
#include "wsf_utf8.h"

#include "subjects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RUNS = 60,          /* the shortest of them counts */
    RUN_NS = 100 * 1000 /* at least, so that the clock is fine enough */
};

static const size_t sizes[] = {16, 64, 256, 1024, 4096, 65536, 1u << 20, 1u << 24};
static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

/* What a subject gets: input of `len` octets, room for four times as many. */
static uint8_t *input, *output;
static size_t len;
static const wsf_kernels *kernels;
static volatile size_t sink; /* what a subject found out, so that it is computed */

/* Zeroed memory for the whole run, at a multiple of a page. */
static uint8_t *aligned(size_t size)
{
    uint8_t *p = calloc(1, size + 4096);

    if (p == NULL)
        exit(1);
    return p + (4096 - (uintptr_t)p % 4096);
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One of those that are compared: they run in turn, so that what disturbs the machine
 * disturbs all of them. */
typedef struct racer {
    const char *who;
    const wsf_kernels *k;
    void (*subject)(void);
    size_t times; /* how often makes a run */
    double best;
} racer;

static racer racers[8];
static size_t racer_count;

static void add(const char *who, void (*subject)(void), const wsf_kernels *k)
{
    racers[racer_count++] = (racer){who, k, subject, 1, 1e300};
}

static double run_ns(const racer *r)
{
    double start;

    kernels = r->k;
    start = now_ns();
    for (size_t i = 0; i < r->times; i++)
        r->subject();
    return now_ns() - start;
}

/* Run all that were added, report them, and forget them. */
static void race(const char *what)
{
    for (size_t i = 0; i < racer_count; i++) {
        while (run_ns(&racers[i]) < RUN_NS)
            racers[i].times *= 2;
    }
    for (int run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < racer_count; i++) {
            const double took = run_ns(&racers[i]) / (double)racers[i].times;

            racers[i].best = took < racers[i].best ? took : racers[i].best;
        }
    }
    for (size_t i = 0; i < racer_count; i++)
        printf("%-22s %-10s %9zu B %12.1f ns %8.2f GB/s\n", what, racers[i].who, len,
               racers[i].best, (double)len / racers[i].best);
    fflush(stdout);
    racer_count = 0;
}

static void run_memcpy(void)
{
    memcpy(output, input, len);
}

static void run_plain_mask(void)
{
    plain_mask(output, input, len, wsf_mask_key(key, 0));
}

static void run_mask(void)
{
    wsf_mask(kernels, output, input, len, key, 0);
}

/* As in a read buffer: behind a header of six octets. Short payloads in turn at eight
 * places, as no payload is masked twice in a row. */
static uint8_t *next_place(void)
{
    static size_t turn;

    turn = (turn + 1) % 8;
    return output + 6 + (len <= 2048 ? turn * (len + 64 - len % 64) : 0);
}

static void run_mask_in_place(void)
{
    uint8_t *const p = next_place();

    wsf_mask(kernels, p, p, len, key, 0);
}

static void run_plain_mask_in_place(void)
{
    uint8_t *const p = next_place();

    plain_mask(p, p, len, wsf_mask_key(key, 0));
}

static void run_mask_ascii(void)
{
    sink = wsf_mask_ascii(kernels, output, input, len, key, 0);
}

static void run_valid(void)
{
    sink = wsf_utf8_valid(kernels, input, len);
}

static void run_transcode(void)
{
    size_t chars;

    switch (wsf_utf8_measure(kernels, input, len, &chars)) {
    case 2:
        wsf_utf8_to_latin1(kernels, output, input, len);
        break;
    case 3:
        wsf_utf8_to_ucs2(kernels, (uint16_t *)(void *)output, input, len);
        break;
    case 4:
        wsf_utf8_to_ucs4(kernels, (uint32_t *)(void *)output, input, len);
        break;
    default:
        memcpy(output, input, len);
    }
    sink = chars;
}

static void run_all(void)
{
    if (wsf_utf8_valid(kernels, input, len))
        run_transcode();
}

#if defined(WITH_SIMDUTF)
static void run_simdutf_valid(void)
{
    sink = simdutf_valid((const char *)input, len);
}

static void run_simdutf_transcode(void)
{
    size_t chars;
    const unsigned class = wsf_utf8_measure(kernels, input, len, &chars);

    sink = class == 2   ? simdutf_to_latin1((const char *)input, len, output)
           : class == 3 ? simdutf_to_ucs2((const char *)input, len, output)
                        : simdutf_to_ucs4((const char *)input, len, output);
}
#endif

static const struct {
    const char *name, *unit;
} texts[] = {
    {"ascii", "The quick brown fox. "},
    {"latin1", "d\xC3\xA9j\xC3\xA0 vu, na\xC3\xAFve "},
    {"cyrillic", "\xD1\x81\xD0\xBB\xD0\xBE\xD0\xB2\xD0\xBE "},
    {"chinese", "\xE4\xB8\xAD\xE6\x96\x87\xE7\xBD\x91\xE7\xBB\x9C"},
    {"emoji", "\xF0\x9F\x98\x80\xF0\x9F\x9A\x80"},
    {"english",
     "As plain as English gets, but for a sign that costs \xE2\x82\xAC 5, which one "
     "meets every few lines, or for an accent in a caf\xC3\xA9; that is, rarely. "
     "Most of it is ASCII, in runs of many octets at a time, as is most JSON."},
    {"json",
     "{\"id\": 12345678, \"name\": \"caf\xC3\xA9 \xE2\x82\xAC\", \"open\": true},"},
};

/* Whole characters up to about `size` octets: `len` says how many. */
static void fill(const char *unit, size_t size)
{
    const size_t n = strlen(unit);

    for (size_t i = 0; i < size; i++)
        input[i] = (uint8_t)unit[i % n];
    len = size;
    while (len > 0 && !wsf_utf8_valid(kernels, input, len))
        len--;
}

/* A subject on each kernel that runs here. */
static void add_kernels(void (*subject)(void))
{
    const uint32_t cpu = wsf_cpu_detect();
    const wsf_kernels *k;

    for (size_t i = 0; (k = wsf_kernels_built(i)) != NULL; i++) {
        if ((k->needs & ~cpu) == 0)
            add(k->name, subject, k);
    }
}

static void bench_mask(size_t size)
{
    for (size_t i = 0; i < size; i++)
        input[i] = (uint8_t)(i * 7);
    len = size;
    add("memcpy", run_memcpy, NULL);
    if (plain_mask_runs(wsf_cpu_detect()))
        add("plain loop", run_plain_mask, NULL);
    add_kernels(run_mask);
    race("mask");
    if (plain_mask_runs(wsf_cpu_detect()))
        add("plain loop", run_plain_mask_in_place, NULL);
    add_kernels(run_mask_in_place);
    race("mask in place");
}

static void bench_ascii(size_t size)
{
    fill(texts[0].unit, size);
    add_kernels(run_mask_ascii);
    race("mask and find ASCII");
}

static void bench_utf8(size_t size)
{
    char what[40];

    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        fill(texts[t].unit, size);
        snprintf(what, sizeof what, "valid? %s", texts[t].name);
#if defined(WITH_SIMDUTF)
        add("simdutf", run_simdutf_valid, NULL);
#endif
        add_kernels(run_valid);
        race(what);
    }
}

static void bench_transcode(size_t size)
{
    char what[40];

    for (size_t t = 1; t < sizeof texts / sizeof texts[0]; t++) {
        fill(texts[t].unit, size);
        snprintf(what, sizeof what, "transcode %s", texts[t].name);
#if defined(WITH_SIMDUTF)
        add("simdutf", run_simdutf_transcode, wsf_kernels_best(wsf_cpu_detect()));
#endif
        add_kernels(run_transcode);
        race(what);
        snprintf(what, sizeof what, "check, transcode %s", texts[t].name);
        add_kernels(run_all);
        race(what);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t size);
    } parts[] = {
        {"mask", bench_mask},
        {"ascii", bench_ascii},
        {"utf8", bench_utf8},
        {"transcode", bench_transcode},
    };
    const size_t most = sizes[sizeof sizes / sizeof sizes[0] - 1];
    const size_t only = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

    kernels = wsf_kernels_best(wsf_cpu_detect());
    input = aligned(most + 64);
    output = aligned(4 * most + 4096) + 1024; /* not to share its low address bits */
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        if (argc > 1 && strcmp(argv[1], parts[p].name) != 0 && *argv[1] != '\0')
            continue;
        if (only != 0)
            parts[p].run(only < most ? only : most);
        for (size_t s = 0; only == 0 && s < sizeof sizes / sizeof sizes[0]; s++)
            parts[p].run(sizes[s]);
    }
    return 0;
}
