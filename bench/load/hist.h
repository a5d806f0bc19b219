/* hist.h -- a histogram of durations with a relative error below 1 %.
 *
 * 64 buckets for each power of two; adding is a few instructions, so that the clock is
 * the larger part of what a latency costs. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum {
    HIST_SUB = 64,
    HIST_BUCKETS = 40 * HIST_SUB
};

typedef struct hist {
    uint64_t count;
    uint64_t bucket[HIST_BUCKETS];
} hist;

static inline void hist_add(hist *h, uint64_t ns)
{
    uint64_t shift = 0, i;

    if (ns >= HIST_SUB)
        shift = (uint64_t)(63 - __builtin_clzll(ns)) - 5;
    i = shift * (HIST_SUB / 2) + (ns >> shift);
    h->bucket[i < HIST_BUCKETS ? i : HIST_BUCKETS - 1]++;
    h->count++;
}

/* The duration in nanoseconds below which the share `q` of all durations lies. */
static inline double hist_quantile(const hist *h, double q)
{
    const double goal = q * (double)h->count;
    uint64_t seen = 0;

    for (uint64_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if ((double)seen >= goal && seen != 0) {
            const uint64_t shift = i < HIST_SUB ? 0 : i / (HIST_SUB / 2) - 1;
            const uint64_t low = i - shift * (HIST_SUB / 2);

            return (double)(low << shift) + (double)((uint64_t)1 << shift) / 2;
        }
    }
    return 0;
}

#endif
