/* wsf_dispatch.c -- the ladder of instruction sets, written here and nowhere else. */
#include "kernels/kernels.h"
#include "wsf_kernels.h"

#include <string.h>

static const wsf_kernels *const built[] = {
/* best first; scalar needs nothing */
#if defined(WSF_X86_64)
    &wsf_kernels_avx512, &wsf_kernels_avx2,
    &wsf_kernels_ssse3,
#elif defined(WSF_AARCH64)
    &wsf_kernels_neon,
#endif
    &wsf_kernels_scalar, NULL,
};

const wsf_kernels *wsf_kernels_best(uint32_t cpu)
{
    const wsf_kernels *const *k = built;

    while (((*k)->needs & ~cpu) != 0)
        k++;
    return *k;
}

const wsf_kernels *wsf_kernels_named(const char *name, uint32_t cpu)
{
    for (const wsf_kernels *const *k = built; *k != NULL; k++) {
        if (strcmp((*k)->name, name) == 0)
            return ((*k)->needs & ~cpu) == 0 ? *k : NULL;
    }
    return NULL;
}

const wsf_kernels *wsf_kernels_built(size_t index)
{
    const size_t count = sizeof built / sizeof built[0];

    return index < count ? built[index] : NULL;
}
