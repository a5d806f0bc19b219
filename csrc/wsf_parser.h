/* wsf_parser.h -- incremental frame parser (RFC 6455 §5).
 *
 * Turns the octets of one direction of a connection into pieces of frames and enforces
 * every rule that a frame header can break, at the header: before a single octet of
 * payload is looked at or room is made for it. It neither unmasks nor copies: a piece
 * points into the caller's input and says how to unmask it, so that the payload is
 * touched once, on its way to where it ends up.
 *
 * Pure functions over the caller's struct: no allocation, no globals. A parser belongs
 * to one thread at a time. */
#ifndef WSF_PARSER_H
#define WSF_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wsf_header.h"
#include "wsf_status.h"

#define WSF_NO_LIMIT UINT64_MAX

typedef struct wsf_parser {
    /* Settings, free to change between calls. */
    uint64_t max_size;      /* octets of one message, over all its fragments */
    uint64_t max_wire_size; /* the same for a compressed message, as it travels */
    uint64_t max_fragments; /* how far fragments may outnumber payload octets */
    bool expect_masked;     /* true for a server (RFC 6455 §5.1) */
    bool allow_rsv1;        /* true once permessage-deflate was negotiated */

    /* The message in progress. */
    bool compressed;       /* its first frame had RSV1 (RFC 7692 §6) */
    uint8_t opcode;        /* WSF_OP_TEXT, WSF_OP_BINARY; 0 when there is none */
    uint64_t message_size; /* payload octets declared so far */
    uint64_t fragments;

    /* The frame in progress, when in_frame. */
    uint64_t remaining; /* payload octets still to come */
    wsf_header frame;
    bool in_frame;

    /* The first octets of a header that arrived in pieces. */
    uint8_t head_len;
    uint8_t head[14];

    wsf_status error; /* sticky */
} wsf_parser;

/* Octets of one frame, or of a part of one, that arrived together. */
typedef struct wsf_piece {
    const uint8_t *data; /* into the caller's input; still masked if key is not 0 */
    size_t len;          /* 0 for an empty frame */
    uint64_t offset;     /* octets of this frame's payload that came before */
    uint8_t opcode;      /* of a control frame, or of the message this belongs to */
    bool frame_end;      /* the frame's last octet is in here */
} wsf_piece;

/* Set a parser up with no limits and nothing in progress. */
void wsf_parser_init(wsf_parser *s, bool expect_masked);

/* Take the next piece from the input.
 *
 * s        the parser; its frame, opcode and compressed fields describe the piece.
 * cursor   the input; moved behind what was taken.
 * end      one past the input's last octet.
 * piece    filled in on WSF_OK, else untouched.
 *
 * Returns WSF_OK with a piece; WSF_NEED_MORE once the input is used up (the parser has
 * kept what it needs of it); or the rule that the peer broke, on this and every later
 * call. After a piece that ends a message the message's fields keep their values, but
 * for the opcode, until the next call. */
wsf_status wsf_parser_next(wsf_parser *s, const uint8_t **cursor, const uint8_t *end,
                           wsf_piece *piece);

/* Account for n <= remaining payload octets of the frame in progress that the caller
 * has put elsewhere by itself. The next call of wsf_parser_next() then starts behind
 * them; if they were the frame's last it returns an empty piece with frame_end set. */
void wsf_parser_skip(wsf_parser *s, size_t n);

/* Take a message that is one frame of less than 64 KiB, whole and uncompressed, as most
 * are: the same as wsf_parser_next() would, at a fifth of the cost.
 *
 * Returns false, with nothing changed, if the input is anything else. */
static inline bool wsf_parser_short(wsf_parser *s, const uint8_t **cursor,
                                    const uint8_t *end, wsf_piece *piece)
{
    const uint8_t *p = *cursor;
    const size_t have = (size_t)(end - p);
    size_t len, header;

    if (have < 2 || s->in_frame || (s->opcode | s->head_len) != 0 || s->error != WSF_OK)
        return false;
    len = p[1] & 0x7Fu;
    header = s->expect_masked ? 6 : 2;
    if (len > 125) {
        if (len > 126 || have < 4)
            return false;
        len = (size_t)p[2] << 8 | p[3];
        if (len < 126)
            return false;
        header += 2;
    }
    if ((p[0] != (WSF_FIN | WSF_OP_TEXT) && p[0] != (WSF_FIN | WSF_OP_BINARY)) ||
        (p[1] & 0x80u) != (s->expect_masked ? 0x80u : 0u) || have < header + len ||
        len > s->max_size || (len | s->max_fragments) == 0)
        return false;
    s->frame.first = p[0];
    if (s->expect_masked)
        memcpy(s->frame.key, p + header - 4, sizeof s->frame.key);
    else
        memset(s->frame.key, 0, sizeof s->frame.key);
    s->compressed = false;
    s->fragments = 1;
    s->message_size = len;
    piece->data = p + header;
    piece->len = len;
    piece->offset = 0;
    piece->opcode = p[0] & 0x0F;
    piece->frame_end = true;
    *cursor = p + header + len;
    return true;
}

/* True if the frame in progress is a message's last (FIN). */
static inline bool wsf_parser_fin(const wsf_parser *s)
{
    return (s->frame.first & WSF_FIN) != 0;
}

#endif
