/* wsf_cpu.h -- which instruction sets the processor and the system offer. */
#ifndef WSF_CPU_H
#define WSF_CPU_H

#include "wsf_platform.h"

#include <stdint.h>

enum wsf_cpu_flag {
    WSF_CPU_SSSE3 = 1, /* SSSE3 */
    WSF_CPU_AVX2 = 2,  /* AVX2, BMI1, BMI2, POPCNT, LZCNT; the system keeps ymm */
    WSF_CPU_AVX512 =
        4,           /* F, BW, VL, VBMI, VBMI2 on top of that; the system keeps zmm */
    WSF_CPU_NEON = 8 /* Advanced SIMD, a part of every AArch64 */
};

/* The flags of the processor this runs on, as a sum of WSF_CPU_*; 0 if it has none of
 * them. Asks the processor each time (a microsecond or so): call once and keep it.
 * Callable from any thread. */
uint32_t wsf_cpu_detect(void);

#if defined(WSF_X86_64)
/* What cpuid says of itself: the registers of leaf 1, 7 and 80000001 that matter, 0 of
 * a leaf that is not there. */
typedef struct wsf_cpu_words {
    uint32_t one_ecx, seven_ebx, seven_ecx, extended_ecx;
} wsf_cpu_words;

/* The flags that follow from these words, and from the register files that the system
 * saves (XCR0). The processor is asked for the latter only if it says that it can be.
 */
uint32_t wsf_cpu_flags(const wsf_cpu_words *words, uint64_t (*saved_registers)(void));
#endif

#endif
