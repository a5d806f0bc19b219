/* kernels_scalar.c -- the kernels in plain C, eight octets at a time where that is
 * possible. They run anywhere, in either byte order, and the others are tested against
 * them. */
#include "kernels.h"
#include "utf8_scalar.h"

static bool scalar_mask_ascii(uint8_t *dst, const uint8_t *src, size_t len,
                              uint32_t key)
{
    uint64_t word, key_word, seen = 0;
    uint8_t key_b[8];
    size_t i = 0;

    memcpy(key_b, &key, 4);
    memcpy(key_b + 4, &key, 4);
    memcpy(&key_word, key_b, 8);
    for (; len - i >= 8; i += 8) {
        memcpy(&word, src + i, 8);
        word ^= key_word;
        seen |= word;
        memcpy(dst + i, &word, 8);
    }
    for (; i < len; i++) { /* in phase, 8 being a multiple of 4 */
        dst[i] = (uint8_t)(src[i] ^ key_b[i % 4]);
        seen |= dst[i];
    }
    return (seen & WSF_HIGH_BITS) == 0;
}

static void scalar_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    (void)scalar_mask_ascii(dst, src, len, key);
}

/* Octets from `i` on that are ASCII, counted eight at a time. */
static size_t skip_ascii(const uint8_t *data, size_t i, size_t len)
{
    uint64_t word;

    for (; len - i >= 8; i += 8) {
        memcpy(&word, data + i, 8);
        if ((word & WSF_HIGH_BITS) != 0)
            break;
    }
    return i;
}

static size_t scalar_utf8(const uint8_t *data, size_t len)
{
    size_t i = 0;

    while (i < len) {
        if (data[i] < 0x80) {
            const size_t next = skip_ascii(data, i, len);

            i = next == i ? i + 1 : next;
        } else {
            const size_t size = wsf_utf8_char(data + i, len - i);

            if (size == 0)
                return i;
            i += size;
        }
    }
    return len;
}

static unsigned scalar_utf8_measure(const uint8_t *data, size_t len, size_t *chars)
{
    size_t count = 0;
    uint8_t high = 0;

    for (size_t i = 0; i < len; i++) {
        count += !wsf_is_cont(data[i]);
        high = data[i] > high ? data[i] : high;
    }
    *chars = count;
    return wsf_utf8_class(high);
}

#define TRANSCODER(name, type)                                                         \
    static void name(type *dst, const uint8_t *data, size_t len)                       \
    {                                                                                  \
        size_t i = 0, size;                                                            \
                                                                                       \
        while (i < len) {                                                              \
            *dst++ = (type)wsf_utf8_code_point(data + i, &size);                       \
            i += size;                                                                 \
        }                                                                              \
    }

TRANSCODER(scalar_utf8_to_latin1, uint8_t)
TRANSCODER(scalar_utf8_to_ucs2, uint16_t)
TRANSCODER(scalar_utf8_to_ucs4, uint32_t)

const wsf_kernels wsf_kernels_scalar = {
    .name = "scalar",
    .needs = 0,
    .mask = scalar_mask,
    .mask_ascii = scalar_mask_ascii,
    .utf8 = scalar_utf8,
    .utf8_measure = scalar_utf8_measure,
    .utf8_to_latin1 = scalar_utf8_to_latin1,
    .utf8_to_ucs2 = scalar_utf8_to_ucs2,
    .utf8_to_ucs4 = scalar_utf8_to_ucs4,
};
