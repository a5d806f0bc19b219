/* plain_mask.c -- masking as one would write it without further thought. */
#include "subjects.h"

#include "wsf_cpu.h"
#include "wsf_platform.h"

#if defined(WSF_X86_64)
#include <immintrin.h>

WSF_TARGET_BEGIN("avx512f")
void plain_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    const __m512i key_v = _mm512_set1_epi32((int)key);
    size_t i = 0;

    for (; len - i >= 64; i += 64)
        _mm512_storeu_si512(dst + i,
                            _mm512_xor_si512(_mm512_loadu_si512(src + i), key_v));
    for (; i < len; i++)
        dst[i] = (uint8_t)(src[i] ^ (uint8_t)(key >> (i % 4 * 8)));
}
WSF_TARGET_END

bool plain_mask_runs(uint32_t cpu)
{
    return (cpu & WSF_CPU_AVX512) != 0;
}

#else

void plain_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    (void)dst, (void)src, (void)len, (void)key;
}

bool plain_mask_runs(uint32_t cpu)
{
    (void)cpu;
    return false;
}

#endif
