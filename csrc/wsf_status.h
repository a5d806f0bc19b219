/* wsf_status.h -- outcomes of the core, each with the close code it leads to.
 *
 * One table says everything about a status: its name, the close code (RFC 6455 §7.4.1)
 * with which the connection is failed, a stable reason code for programs, and a text
 * for people. Other tables of the project are made from this one, never copied. */
#ifndef WSF_STATUS_H
#define WSF_STATUS_H

#include <stdint.h>

/* X(name, close code or 0, reason code, text) */
#define WSF_STATUS_TABLE(X)                                                            \
    X(WSF_OK, 0, "ok", "no error")                                                     \
    X(WSF_NEED_MORE, 0, "need_more", "more octets are needed")                         \
    X(WSF_E_RSV, 1002, "rsv_not_negotiated",                                           \
      "reserved bit set without an extension that gives it a meaning")                 \
    X(WSF_E_OPCODE, 1002, "reserved_opcode", "reserved opcode")                        \
    X(WSF_E_UNMASKED, 1002, "frame_not_masked", "frame from the client is not masked") \
    X(WSF_E_MASKED, 1002, "frame_masked", "frame from the server is masked")           \
    X(WSF_E_CONTROL_LENGTH, 1002, "control_too_long",                                  \
      "control frame with a payload over 125 octets")                                  \
    X(WSF_E_CONTROL_FRAGMENTED, 1002, "control_fragmented",                            \
      "fragmented control frame")                                                      \
    X(WSF_E_CONTINUATION, 1002, "unexpected_continuation",                             \
      "continuation frame without a message to continue")                              \
    X(WSF_E_EXPECTED_CONTINUATION, 1002, "expected_continuation",                      \
      "new data frame before the end of a fragmented message")                         \
    X(WSF_E_LENGTH_RANGE, 1002, "length_over_63_bits", "payload length over 63 bits")  \
    X(WSF_E_LENGTH_MINIMAL, 1002, "length_not_minimal",                                \
      "payload length not in its shortest form")                                       \
    X(WSF_E_TOO_BIG, 1009, "message_too_big", "message over the size limit")           \
    X(WSF_E_FRAGMENTS, 1008, "too_many_fragments",                                     \
      "too many small fragments in one message")                                       \
    X(WSF_E_UTF8, 1007, "invalid_utf8", "text is not valid UTF-8")                     \
    X(WSF_E_CLOSE_LENGTH, 1002, "close_payload_of_one_octet",                          \
      "close frame with a payload of one octet")                                       \
    X(WSF_E_CLOSE_CODE, 1002, "invalid_close_code",                                    \
      "close frame with a close code that must not be sent")                           \
    X(WSF_E_CONTROL_RATE, 1008, "control_frame_flood", "too many control frames")

typedef enum wsf_status {
#define WSF_STATUS_NAME(name, code, reason, text) name,
    WSF_STATUS_TABLE(WSF_STATUS_NAME)
#undef WSF_STATUS_NAME
    WSF_STATUS_COUNT /* not a status: how many there are */
} wsf_status;

/* The close code to fail the connection with; 0 for WSF_OK, WSF_NEED_MORE and for a
 * number that is not a status. */
uint16_t wsf_status_close_code(wsf_status status);

/* A stable identifier in lower case, such as "invalid_utf8"; "unknown" for a number
 * that is not a status. The string is static. */
const char *wsf_status_reason_code(wsf_status status);

/* A sentence for people, in English; "unknown status" for a number that is not one.
 * The string is static. */
const char *wsf_status_text(wsf_status status);

#endif
