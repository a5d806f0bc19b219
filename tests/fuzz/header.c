/* header.c -- frame headers: what is read and written again is the same, and a header
 * that arrives in pieces is read as soon as, and no sooner than, it is there. */
#include "fuzz.h"

#include "wsf_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *octets = copy_of(data, size);
    wsf_header whole = {0};
    const wsf_status status = wsf_header_decode(&whole, octets, size);

    for (size_t n = 0; n <= size && n <= WSF_HEADER_MAX; n++) {
        uint8_t *part = copy_of(data, n);
        wsf_header h = {0};
        const wsf_status of_part = wsf_header_decode(&h, part, n);

        MUST(of_part == status || of_part == WSF_NEED_MORE);
        if (of_part == WSF_NEED_MORE)
            MUST(h.size > n && h.size <= WSF_HEADER_MAX);
        else
            MUST(n >= 2 && h.size == whole.size);
        free(part);
    }
    if (status == WSF_OK) {
        uint8_t out[WSF_HEADER_MAX];
        const size_t n = wsf_header_encode(out, whole.first, whole.length,
                                           whole.masked ? whole.key : NULL);

        MUST(n == whole.size && n <= size);
        MUST(memcmp(out, octets, n) == 0);
        MUST(whole.length >> 63 == 0);
    }
    free(octets);
    return 0;
}
