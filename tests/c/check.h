/* check.h -- the little that the C tests need: tests, checks, and memory with edges.
 *
 * A test is a function. It fails if one CHECK in it fails; a crash fails the run. */
#ifndef WSF_TESTS_CHECK_H
#define WSF_TESTS_CHECK_H

#include "wsf_kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct test {
    const char *name;
    void (*run)(const wsf_kernels *k);
    bool once; /* not for each kernel: it names none, or all */
} test;

#define PER_KERNEL(function) {#function, function, false}
#define ONCE(function) {#function, function, true}

/* Each file's tests, ending with a row of zeros. */
extern const test status_tests[], kernels_tests[], mask_tests[], utf8_tests[],
    transcode_tests[], header_tests[], close_tests[], parser_tests[], events_tests[],
    sockjs_tests[], threads_tests[], cpu_tests[], poller_tests[];

/* Say where a check failed, printf-like, and let the running test fail. Of one test
 * only the first few failures are printed. */
void check_failed(const char *file, int line, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* CHECK(condition, format, ...): the rest says with what it failed. */
#define CHECK(condition, ...)                                                          \
    do {                                                                               \
        if (!(condition))                                                              \
            check_failed(__FILE__, __LINE__, __VA_ARGS__);                             \
    } while (0)

/* Memory whose neighbours cannot be touched: begin[-1] and begin[size] are on unmapped
 * pages. */
typedef struct edged {
    uint8_t *begin;
    size_t size;
} edged;

/* At least `size` octets, given back by no one: the run is short. */
edged edged_new(size_t size);

static inline uint8_t *edged_end(edged m)
{
    return m.begin + m.size;
}

/* The next number of a sequence that is the same in each run; below n in the second
 * form, n > 0. */
uint64_t random_u64(void);
size_t random_below(size_t n);

/* How many alignments are tried, at least 1. */
extern size_t alignments;

/* Kernels that are built and run here, in turn; NULL behind the last. */
const wsf_kernels *kernels_here(size_t index);

#endif
