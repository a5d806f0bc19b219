/* wsf_close.c -- the payload of a close frame (RFC 6455 §5.5.1, §7.4). */
#include "wsf_close.h"

#include "wsf_utf8.h"

bool wsf_close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

wsf_status wsf_close_check(const wsf_kernels *k, const uint8_t *payload, size_t len,
                           uint16_t *code)
{
    if (len == 0) {
        *code = WSF_CLOSE_NO_STATUS;
        return WSF_OK;
    }
    if (len == 1)
        return WSF_E_CLOSE_LENGTH;
    *code = (uint16_t)((payload[0] << 8) | payload[1]);
    if (!wsf_close_code_valid(*code))
        return WSF_E_CLOSE_CODE;
    return wsf_utf8_valid(k, payload + 2, len - 2) ? WSF_OK : WSF_E_UTF8;
}
