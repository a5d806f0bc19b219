/* fuzz.h -- what the fuzz targets share.
 *
 * A target is a file with LLVMFuzzerTestOneInput(): it feeds the input to the core in
 * more than one way and aborts where the ways differ. libFuzzer calls it, and so does
 * replay.c, for the inputs that are kept in corpus/. */
#ifndef WSF_TESTS_FUZZ_H
#define WSF_TESTS_FUZZ_H

#include "wsf_cpu.h"
#include "wsf_kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Abort, saying what was not so. */
#define MUST(condition)                                                                \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* The next octet of the input, which decides something; 0 behind its end. */
static inline uint8_t take(const uint8_t **data, size_t *size)
{
    if (*size == 0)
        return 0;
    (*size)--;
    return *(*data)++;
}

/* A copy of exactly `size` octets on the heap, so that sanitizers see its edges. */
static inline uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));

    MUST(copy != NULL);
    if (size != 0)
        memcpy(copy, data, size);
    return copy;
}

/* Kernels that are built and run here, in turn; NULL behind the last. */
static inline const wsf_kernels *kernels_here(size_t index)
{
    static uint32_t cpu; /* asking takes long in a virtual machine */
    static bool asked;
    const wsf_kernels *k;

    if (!asked)
        cpu = wsf_cpu_detect();
    asked = true;
    for (size_t i = 0; (k = wsf_kernels_built(i)) != NULL; i++)
        if ((k->needs & ~cpu) == 0 && index-- == 0)
            return k;
    return NULL;
}

#endif
