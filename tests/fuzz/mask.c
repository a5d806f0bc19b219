/* mask.c -- masking: every kernel, into another buffer and in place, whole and in two
 * pieces, against one octet at a time.
 *
 * Input: a masking-key, an offset, where to cut, then the payload. */
#include "fuzz.h"

#include "wsf_mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t key[4];
    uint64_t offset;
    size_t cut;
    uint8_t *payload, *want, *got;
    bool ascii = true;
    const wsf_kernels *k;

    for (int i = 0; i < 4; i++)
        key[i] = take(&data, &size);
    offset = take(&data, &size) * UINT64_C(0x0101010101010101);
    cut = take(&data, &size);
    cut = cut < size ? cut : size;
    payload = copy_of(data, size);
    want = copy_of(data, size);
    got = copy_of(data, size);
    for (size_t i = 0; i < size; i++) {
        want[i] = (uint8_t)(payload[i] ^ key[(offset + i) % 4]);
        ascii = ascii && want[i] < 0x80;
    }
    for (size_t i = 0; (k = kernels_here(i)) != NULL; i++) {
        memset(got, 0xAA, size);
        wsf_mask(k, got, payload, size, key, offset);
        MUST(memcmp(got, want, size) == 0);
        memcpy(got, payload, size);
        wsf_mask(k, got, got, cut, key, offset);
        wsf_mask(k, got + cut, got + cut, size - cut, key, offset + cut);
        MUST(memcmp(got, want, size) == 0);
        memset(got, 0xAA, size);
        MUST(wsf_mask_ascii(k, got, payload, size, key, offset) == ascii);
        MUST(memcmp(got, want, size) == 0);
        wsf_mask(k, got, got, size, key, offset);
        MUST(memcmp(got, payload, size) == 0);
    }
    free(payload);
    free(want);
    free(got);
    return 0;
}
