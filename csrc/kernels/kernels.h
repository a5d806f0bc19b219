/* kernels.h -- the tables, one for each instruction set. Only wsf_dispatch.c and the
 * files that define them include this. */
#ifndef WSF_KERNELS_KERNELS_H
#define WSF_KERNELS_KERNELS_H

#include "../wsf_cpu.h"
#include "../wsf_kernels.h"
#include "../wsf_platform.h"

extern const wsf_kernels wsf_kernels_scalar;
#if defined(WSF_X86_64)
extern const wsf_kernels wsf_kernels_ssse3, wsf_kernels_avx2, wsf_kernels_avx512;
#elif defined(WSF_AARCH64)
extern const wsf_kernels wsf_kernels_neon;
#endif

#endif
