/* main.c -- runs the C tests: those of each kernel on each kernel that runs here.
 *
 * main [name [alignments]]   only the tests whose name contains `name`; at so many
 *                            alignments, not 64. */
#define _DEFAULT_SOURCE
#include "check.h"

#include "wsf_cpu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PRINTED_AT_MOST = 5
};

static const test *const suites[] = {
    status_tests,    cpu_tests,    kernels_tests, mask_tests,   utf8_tests,
    transcode_tests, header_tests, close_tests,   parser_tests, events_tests,
    sockjs_tests,    poller_tests, threads_tests,
};

size_t alignments = 64;

static unsigned failures; /* of the running test */

void check_failed(const char *file, int line, const char *format, ...)
{
    va_list args;

    if (failures++ >= PRINTED_AT_MOST)
        return;
    printf("%s:%d: ", file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

edged edged_new(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (size + page - 1) / page * page;
    uint8_t *all =
        mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    edged m = {all + page, inner};

    if (all == MAP_FAILED || mprotect(m.begin, inner, PROT_READ | PROT_WRITE) != 0) {
        perror("edged_new");
        exit(2);
    }
    return m;
}

uint64_t random_u64(void)
{
    static uint64_t state = 6455;
    uint64_t z = state += 0x9E3779B97F4A7C15u; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

size_t random_below(size_t n)
{
    return (size_t)(random_u64() % n);
}

const wsf_kernels *kernels_here(size_t index)
{
    const uint32_t cpu = wsf_cpu_detect();
    const wsf_kernels *k;

    for (size_t i = 0; (k = wsf_kernels_built(i)) != NULL; i++) {
        if ((k->needs & ~cpu) == 0 && index-- == 0)
            return k;
    }
    return NULL;
}

static void run(const test *t, const wsf_kernels *k, unsigned *passed, unsigned *failed)
{
    failures = 0;
    t->run(k);
    if (failures == 0) {
        ++*passed;
        return;
    }
    ++*failed;
    printf("FAILED %s%s%s: %u checks\n", t->name, t->once ? "" : " on ",
           t->once ? "" : k->name, failures);
}

int main(int argc, char **argv)
{
    const uint32_t cpu = wsf_cpu_detect();
    const char *only = argc > 1 ? argv[1] : "";
    unsigned passed = 0, failed = 0, skipped = 0;
    const wsf_kernels *k;

    if (argc > 2 && (alignments = strtoul(argv[2], NULL, 10)) == 0) {
        fprintf(stderr, "no number of alignments: %s\n", argv[2]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (size_t i = 0; (k = wsf_kernels_built(i)) != NULL; i++) {
        if ((k->needs & ~cpu) != 0)
            printf("this processor cannot run the kernels %s\n", k->name);
    }
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++) {
        for (const test *t = suites[s]; t->name != NULL; t++) {
            if (strstr(t->name, only) == NULL)
                continue;
            if (t->once) {
                run(t, wsf_kernels_best(cpu), &passed, &failed);
                continue;
            }
            for (size_t i = 0; (k = wsf_kernels_built(i)) != NULL; i++) {
                if ((k->needs & ~cpu) == 0)
                    run(t, k, &passed, &failed);
                else
                    skipped++;
            }
        }
    }
    printf("%u passed, %u failed", passed, failed);
    if (skipped != 0)
        printf(", %u skipped", skipped);
    putchar('\n');
    return failed != 0 || passed == 0;
}
