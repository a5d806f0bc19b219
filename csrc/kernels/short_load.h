/* short_load.h -- fewer octets than a vector holds, brought into registers without a
 * loop, without a buffer, and without reading a single octet more. Little-endian. */
#ifndef WSF_KERNELS_SHORT_LOAD_H
#define WSF_KERNELS_SHORT_LOAD_H

#include "../wsf_platform.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The n < 16 octets at p, then zeros, as two words: *low holds the first eight. */
static WSF_INLINE void wsf_load_short(const uint8_t *p, size_t n, uint64_t *low,
                                      uint64_t *high)
{
    *low = *high = 0;
    if (n >= 8) {
        memcpy(low, p, 8);
        memcpy(high, p + n - 8, 8); /* its lowest 16 - n octets are in *low already */
        *high = *high >> (8 * (15 - n)) >> 8;
    } else if (n >= 4) {
        uint32_t a, b;

        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        *low = a | ((uint64_t)b << (8 * (n - 4)));
    } else if (n != 0) { /* first, middle, last: the same one if n is 1 */
        *low = p[0] | ((uint64_t)p[n / 2] << (8 * (n / 2))) |
               ((uint64_t)p[n - 1] << (8 * (n - 1)));
    }
}

#endif
