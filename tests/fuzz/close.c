/* close.c -- the payload of close frames: every kernel says the same, and what RFC 6455
 * §7.4 says of codes. */
#include "fuzz.h"

#include "wsf_close.h"
#include "wsf_utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *payload = copy_of(data, size);
    const wsf_kernels *scalar = wsf_kernels_best(0), *k;
    uint16_t code = 0;
    const wsf_status status = wsf_close_check(scalar, payload, size, &code);

    if (size == 0)
        MUST(status == WSF_OK && code == WSF_CLOSE_NO_STATUS);
    else if (size == 1)
        MUST(status == WSF_E_CLOSE_LENGTH);
    else {
        const bool good = (code >= 1000 && code <= 1003) ||
                          (code >= 1007 && code <= 1014) ||
                          (code >= 3000 && code <= 4999);

        MUST(code == (payload[0] << 8 | payload[1]));
        MUST((status == WSF_E_CLOSE_CODE) == !good);
        if (good)
            MUST((status == WSF_OK) == wsf_utf8_valid(scalar, payload + 2, size - 2));
    }
    for (size_t i = 0; (k = kernels_here(i)) != NULL; i++) {
        uint16_t other = 0;

        MUST(wsf_close_check(k, payload, size, &other) == status && other == code);
    }
    free(payload);
    return 0;
}
