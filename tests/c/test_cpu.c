/* test_cpu.c -- which flags follow from what a processor and its system say: of
 * machines that nobody has to have. */
#include "check.h"

#include "wsf_cpu.h"

static void cpu_detected_twice(const wsf_kernels *k)
{
    (void)k;
    CHECK(wsf_cpu_detect() == wsf_cpu_detect(), "two answers");
}

#if defined(WSF_X86_64)
static unsigned asked; /* for the register files */
static uint64_t saved;

static uint64_t saved_registers(void)
{
    asked++;
    return saved;
}

enum {
    ALL = WSF_CPU_SSSE3 | WSF_CPU_AVX2 | WSF_CPU_AVX512,
    NO_AVX512 = WSF_CPU_SSSE3 | WSF_CPU_AVX2
};

/* Bits as in Intel's manual, volume 2, CPUID, and volume 1, 13.2 (XCR0). */
static const wsf_cpu_words full = {
    .one_ecx = 1u << 9 | 1u << 23 | 1u << 27 | 1u << 28,
    .seven_ebx = 1u << 3 | 1u << 5 | 1u << 8 | 1u << 16 | 1u << 30 | 1u << 31,
    .seven_ecx = 1u << 1 | 1u << 6,
    .extended_ecx = 1u << 5,
};

static void cpu_each_bit_counts(const wsf_kernels *k)
{
    static const struct {
        const char *name;
        wsf_cpu_words without;
        uint64_t unsaved;
        uint32_t flags;
    } rows[] = {
        {"all", {0}, 0, ALL},
        {"SSSE3", {.one_ecx = 1u << 9}, 0, WSF_CPU_AVX2 | WSF_CPU_AVX512},
        {"POPCNT", {.one_ecx = 1u << 23}, 0, WSF_CPU_SSSE3},
        {"OSXSAVE", {.one_ecx = 1u << 27}, 0, WSF_CPU_SSSE3},
        {"AVX", {.one_ecx = 1u << 28}, 0, WSF_CPU_SSSE3},
        {"LZCNT", {.extended_ecx = 1u << 5}, 0, WSF_CPU_SSSE3},
        {"BMI1", {.seven_ebx = 1u << 3}, 0, WSF_CPU_SSSE3},
        {"AVX2", {.seven_ebx = 1u << 5}, 0, WSF_CPU_SSSE3},
        {"BMI2", {.seven_ebx = 1u << 8}, 0, WSF_CPU_SSSE3},
        {"xmm saved", {0}, 0x02, WSF_CPU_SSSE3},
        {"ymm saved", {0}, 0x04, WSF_CPU_SSSE3},
        {"AVX512F", {.seven_ebx = 1u << 16}, 0, NO_AVX512},
        {"AVX512BW", {.seven_ebx = 1u << 30}, 0, NO_AVX512},
        {"AVX512VL", {.seven_ebx = 1u << 31}, 0, NO_AVX512},
        {"VBMI", {.seven_ecx = 1u << 1}, 0, NO_AVX512},
        {"VBMI2", {.seven_ecx = 1u << 6}, 0, NO_AVX512},
        {"mask registers saved", {0}, 0x20, NO_AVX512},
        {"upper halves of zmm saved", {0}, 0x40, NO_AVX512},
        {"zmm16 to zmm31 saved", {0}, 0x80, NO_AVX512},
    };

    (void)k;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wsf_cpu_words words = full;
        uint32_t flags;

        words.one_ecx &= ~rows[i].without.one_ecx;
        words.seven_ebx &= ~rows[i].without.seven_ebx;
        words.seven_ecx &= ~rows[i].without.seven_ecx;
        words.extended_ecx &= ~rows[i].without.extended_ecx;
        saved = 0xE6 & ~rows[i].unsaved;
        flags = wsf_cpu_flags(&words, saved_registers);
        CHECK(flags == rows[i].flags, "without %s: %x", rows[i].name, flags);
    }
}

/* xgetbv is no instruction before the system has turned it on. */
static void cpu_registers_are_asked_for_with_leave(const wsf_kernels *k)
{
    wsf_cpu_words words = full;

    (void)k;
    asked = 0;
    words.one_ecx &= ~(1u << 27);
    (void)wsf_cpu_flags(&words, saved_registers);
    CHECK(asked == 0, "asked without OSXSAVE");
    (void)wsf_cpu_flags(&full, saved_registers);
    CHECK(asked == 1, "not asked with OSXSAVE");
}

/* The ladder stops at each rung when those above are switched off. */
static void cpu_ladder_without_the_best(const wsf_kernels *k)
{
    static const uint32_t flags[] = {ALL, NO_AVX512, WSF_CPU_SSSE3, 0};

    (void)k;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        CHECK(wsf_kernels_best(flags[i]) == wsf_kernels_built(i), "rung %zu", i);
}
#endif

const test cpu_tests[] = {
    ONCE(cpu_detected_twice),
#if defined(WSF_X86_64)
    ONCE(cpu_each_bit_counts),
    ONCE(cpu_registers_are_asked_for_with_leave),
    ONCE(cpu_ladder_without_the_best),
#endif
    {0},
};
