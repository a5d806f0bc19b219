/* subjects.h -- what the kernels are measured against. */
#ifndef WSF_BENCH_SUBJECTS_H
#define WSF_BENCH_SUBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* The plain loop: one AVX-512 vector after the other, the tail octet by octet. */
bool plain_mask_runs(uint32_t cpu);
void plain_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key);

/* simdutf, if it is built in. */
bool simdutf_valid(const char *data, size_t len);
size_t simdutf_to_latin1(const char *data, size_t len, void *dst);
size_t simdutf_to_ucs2(const char *data, size_t len, void *dst);
size_t simdutf_to_ucs4(const char *data, size_t len, void *dst);

#if defined(__cplusplus)
}
#endif

#endif
