/* wsf_kernels.h -- the functions that run once per octet, one table of them for each
 * instruction set.
 *
 * Call them through wsf_mask.h and wsf_utf8.h, which say what the arguments mean and
 * spare short payloads the indirect call. The tables are constant and hold no state:
 * any thread may use any of them. */
#ifndef WSF_KERNELS_H
#define WSF_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wsf_kernels {
    const char *name; /* "scalar", "ssse3", "avx2", "avx512", "neon" */
    uint32_t needs;   /* WSF_CPU_* flags without which it must not run */

    /* XOR with the masking-key. `key` holds its octets in the order in which they lie
     * in memory, in phase with src[0]. dst == src, or no overlap. */
    void (*mask)(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key);

    /* The same; true if every octet written is below 0x80. */
    bool (*mask_ascii)(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key);

    /* `len` if the octets are valid UTF-8 from the first to the last. Otherwise an
     * index at which a character starts, the octets before it being valid: the first
     * bad octet lies at or behind it, and not far. */
    size_t (*utf8)(const uint8_t *data, size_t len);

    /* The four below want valid UTF-8 and trust it. */
    unsigned (*utf8_measure)(const uint8_t *data, size_t len, size_t *chars);
    void (*utf8_to_latin1)(uint8_t *dst, const uint8_t *data, size_t len);
    void (*utf8_to_ucs2)(uint16_t *dst, const uint8_t *data, size_t len);
    void (*utf8_to_ucs4)(uint32_t *dst, const uint8_t *data, size_t len);
} wsf_kernels;

/* The fastest table that runs on a processor with the flags `cpu` (wsf_cpu_detect()).
 * Never NULL: the scalar kernels run anywhere. */
const wsf_kernels *wsf_kernels_best(uint32_t cpu);

/* The table called `name`; NULL if this build has none, or `cpu` cannot run it. */
const wsf_kernels *wsf_kernels_named(const char *name, uint32_t cpu);

/* The tables of this build, fastest first, whether this processor runs them or not;
 * NULL from the first index on that has none. */
const wsf_kernels *wsf_kernels_built(size_t index);

#endif
