/* wsf_cpu.c -- cpuid and xgetbv on x86-64; elsewhere the compiler's word is enough. */
#include "wsf_cpu.h"

#if defined(WSF_X86_64)

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#else
#include <cpuid.h>
#endif

enum register_of {
    EAX,
    EBX,
    ECX,
    EDX
};

/* Zeroes for a leaf that the processor does not know. */
static void cpuid(uint32_t leaf, uint32_t out[4])
{
#if defined(_MSC_VER) && !defined(__clang__)
    int regs[4];

    __cpuid(regs, (int)(leaf & 0x80000000u)); /* the highest leaf of this kind */
    if ((uint32_t)regs[0] < leaf) {
        out[EAX] = out[EBX] = out[ECX] = out[EDX] = 0;
        return;
    }
    __cpuidex(regs, (int)leaf, 0);
    for (int i = 0; i < 4; i++)
        out[i] = (uint32_t)regs[i];
#else
    out[EAX] = out[EBX] = out[ECX] = out[EDX] = 0; /* untouched if it is not known */
    (void)__get_cpuid_count(leaf, 0, &out[EAX], &out[EBX], &out[ECX], &out[EDX]);
#endif
}

/* Which register files the system saves on a context switch (XCR0). */
static uint64_t saved_registers(void)
{
#if defined(_MSC_VER) && !defined(__clang__)
    return _xgetbv(0);
#else
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
#endif
}

static int has(uint32_t word, uint32_t bits)
{
    return (word & bits) == bits;
}

uint32_t wsf_cpu_flags(const wsf_cpu_words *words, uint64_t (*saved_registers)(void))
{
    const uint32_t ssse3 = 1u << 9, popcnt = 1u << 23, osxsave = 1u << 27,
                   avx = 1u << 28;  /* leaf 1, ecx */
    const uint32_t lzcnt = 1u << 5; /* leaf 80000001, ecx */
    const uint32_t bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8; /* leaf 7, ebx */
    const uint32_t f = 1u << 16, bw = 1u << 30, vl = 1u << 31;     /* leaf 7, ebx */
    const uint32_t vbmi = 1u << 1, vbmi2 = 1u << 6;                /* leaf 7, ecx */
    const uint64_t ymm = 0x06, zmm = 0xE6;                         /* XCR0 */
    uint32_t flags = 0;
    uint64_t saved;

    if (has(words->one_ecx, ssse3))
        flags |= WSF_CPU_SSSE3;
    if (!has(words->one_ecx, osxsave | avx | popcnt))
        return flags;

    saved = saved_registers();
    if ((saved & ymm) != ymm || !has(words->extended_ecx, lzcnt) ||
        !has(words->seven_ebx, bmi1 | avx2 | bmi2))
        return flags;
    flags |= WSF_CPU_AVX2;
    if ((saved & zmm) == zmm && has(words->seven_ebx, f | bw | vl) &&
        has(words->seven_ecx, vbmi | vbmi2))
        flags |= WSF_CPU_AVX512;
    return flags;
}

uint32_t wsf_cpu_detect(void)
{
    uint32_t one[4], seven[4], extended[4];
    wsf_cpu_words words;

    cpuid(1, one);
    cpuid(7, seven);
    cpuid(0x80000001u, extended);
    words.one_ecx = one[ECX];
    words.seven_ebx = seven[EBX];
    words.seven_ecx = seven[ECX];
    words.extended_ecx = extended[ECX];
    return wsf_cpu_flags(&words, saved_registers);
}

#elif defined(WSF_AARCH64)

uint32_t wsf_cpu_detect(void)
{
    return WSF_CPU_NEON;
}

#else

uint32_t wsf_cpu_detect(void)
{
    return 0;
}

#endif
