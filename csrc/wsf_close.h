/* wsf_close.h -- the payload of a close frame (RFC 6455 §5.5.1, §7.4).
 *
 * Pure functions: no allocation, no globals, callable from any thread. */
#ifndef WSF_CLOSE_H
#define WSF_CLOSE_H

#include "wsf_kernels.h"
#include "wsf_status.h"

enum {
    WSF_CLOSE_NO_STATUS =
        1005 /* what the application sees if the frame names no code */
};

/* True for a close code that may be on the wire: 1000-1003, 1007-1014 (those registered
 * with IANA), 3000-4999. */
bool wsf_close_code_valid(uint16_t code);

/* Judge the payload of a close frame that was received, already unmasked.
 *
 * payload,len  all of it; len <= 125 is the parser's business.
 * code         the close code; 1005 if len is 0. Set whenever two octets are there,
 *              even on an error.
 *
 * Returns WSF_OK, the reason being payload[2..len); WSF_E_CLOSE_LENGTH for one octet;
 * WSF_E_CLOSE_CODE; WSF_E_UTF8 if the reason is not valid UTF-8. */
wsf_status wsf_close_check(const wsf_kernels *k, const uint8_t *payload, size_t len,
                           uint16_t *code);

#endif
