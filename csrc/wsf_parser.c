/* wsf_parser.c -- incremental frame parser (RFC 6455 §5). */
#include "wsf_parser.h"

#include <string.h>

enum {
    RSV_MASK = 0x70,
    OPCODE_MASK = 0x0F,
    CONTROL_BIT = 0x08,
    CONTROL_MAX = 125
};

void wsf_parser_init(wsf_parser *s, bool expect_masked)
{
    memset(s, 0, sizeof *s);
    s->max_size = s->max_wire_size = s->max_fragments = WSF_NO_LIMIT;
    s->expect_masked = expect_masked;
}

/* A control frame: short, whole, between any two frames (RFC 6455 §5.5). */
static wsf_status check_control(const wsf_header *h)
{
    if ((h->first & OPCODE_MASK) > WSF_OP_PONG)
        return WSF_E_OPCODE;
    if ((h->first & RSV_MASK) != 0)
        return WSF_E_RSV;
    if ((h->first & WSF_FIN) == 0)
        return WSF_E_CONTROL_FRAGMENTED;
    if (h->length > CONTROL_MAX)
        return WSF_E_CONTROL_LENGTH;
    return WSF_OK;
}

/* A data frame: starts a message or continues one, within the limits (§5.4, §5.6). */
static wsf_status check_data(wsf_parser *s, const wsf_header *h)
{
    const uint8_t opcode = h->first & OPCODE_MASK;
    uint8_t rsv_allowed = 0;
    uint64_t limit;

    if (opcode > WSF_OP_BINARY)
        return WSF_E_OPCODE;
    if (opcode != WSF_OP_CONT && s->allow_rsv1)
        rsv_allowed = WSF_RSV1;
    if ((h->first & RSV_MASK & ~rsv_allowed) != 0)
        return WSF_E_RSV;
    if (opcode == WSF_OP_CONT) {
        if (s->opcode == 0)
            return WSF_E_CONTINUATION;
    } else {
        if (s->opcode != 0)
            return WSF_E_EXPECTED_CONTINUATION;
        s->opcode = opcode;
        s->compressed = (h->first & WSF_RSV1) != 0;
        s->message_size = s->fragments = 0;
    }
    limit = s->compressed ? s->max_wire_size : s->max_size;
    if (h->length > limit || s->message_size > limit - h->length)
        return WSF_E_TOO_BIG;
    s->message_size += h->length;
    s->fragments++;
    if (s->fragments > s->message_size &&
        s->fragments - s->message_size > s->max_fragments)
        return WSF_E_FRAGMENTS;
    return WSF_OK;
}

static wsf_status check_header(wsf_parser *s, const wsf_header *h)
{
    wsf_status status;

    if (h->first & CONTROL_BIT)
        status = check_control(h);
    else
        status = check_data(s, h);
    if (status == WSF_OK && h->masked != s->expect_masked)
        status = h->masked ? WSF_E_MASKED : WSF_E_UNMASKED;
    return status;
}

/* Read a header, of which some octets may have come with earlier input. */
static wsf_status begin_frame(wsf_parser *s, const uint8_t **cursor, const uint8_t *end)
{
    size_t have = (size_t)(end - *cursor);
    wsf_status status;

    if (s->head_len == 0) {
        status = wsf_header_decode(&s->frame, *cursor, have);
        if (status == WSF_OK)
            *cursor += s->frame.size;
    } else {
        const size_t room = sizeof s->head - s->head_len;
        const size_t taken = have < room ? have : room;

        memcpy(s->head + s->head_len, *cursor, taken);
        status = wsf_header_decode(&s->frame, s->head, s->head_len + taken);
        if (status == WSF_OK) {
            *cursor += s->frame.size - s->head_len;
            s->head_len = 0;
        }
    }
    if (status == WSF_NEED_MORE) { /* shorter than any header can be: keep it all */
        if (s->head_len == 0)
            memcpy(s->head, *cursor, have);
        s->head_len = (uint8_t)(s->head_len + have);
        *cursor = end;
        return status;
    }
    if (status == WSF_OK)
        status = check_header(s, &s->frame);
    if (status != WSF_OK) {
        s->error = status;
        return status;
    }
    if (!s->frame.masked)
        memset(s->frame.key, 0, sizeof s->frame.key); /* unmasking it changes nothing */
    s->remaining = s->frame.length;
    s->in_frame = true;
    return WSF_OK;
}

wsf_status wsf_parser_next(wsf_parser *s, const uint8_t **cursor, const uint8_t *end,
                           wsf_piece *piece)
{
    size_t take;

    if (s->error != WSF_OK)
        return s->error;
    if (!s->in_frame) {
        wsf_status status;

        if (*cursor == end)
            return WSF_NEED_MORE;
        status = begin_frame(s, cursor, end);
        if (status != WSF_OK)
            return status;
    }
    take = (size_t)(end - *cursor);
    if (take > s->remaining)
        take = (size_t)s->remaining;
    if (take == 0 && s->remaining != 0)
        return WSF_NEED_MORE;

    piece->data = *cursor;
    piece->len = take;
    piece->offset = s->frame.length - s->remaining;
    piece->opcode =
        (s->frame.first & CONTROL_BIT) ? s->frame.first & OPCODE_MASK : s->opcode;
    s->remaining -= take;
    piece->frame_end = s->remaining == 0;
    *cursor += take;
    if (piece->frame_end) {
        s->in_frame = false;
        if ((s->frame.first & (WSF_FIN | CONTROL_BIT)) == WSF_FIN)
            s->opcode = 0; /* the next data frame starts a message */
    }
    return WSF_OK;
}

void wsf_parser_skip(wsf_parser *s, size_t n)
{
    s->remaining -= n;
}
