/* parser.c -- the frame parser: whole, octet by octet and cut as the input says, and
 * with wsf_parser_short() first: the same frames, the same payload, the same error.
 *
 * Input: settings, a number of octets per cut, then the octets of a connection. */
#include "fuzz.h"

#include "wsf_parser.h"

/* What the parser said: each frame's header and unmasked size, and a sum of all. */
typedef struct story {
    uint64_t sum;
    uint64_t frames, payload;
    wsf_status status;
} story;

static void add(story *t, uint64_t value)
{
    t->sum = (t->sum ^ value) * 0x100000001B3u;
}

static void tell(story *t, const wsf_parser *s, const wsf_piece *piece)
{
    for (size_t i = 0; i < piece->len; i++) { /* per octet: cuts must not show */
        const uint8_t key = s->frame.key[(piece->offset + i) % 4];

        add(t, (uint64_t)(piece->data[i] ^ key) + 1);
    }
    t->payload += piece->len;
    if (piece->frame_end) {
        MUST(s->remaining == 0);
        add(t, 0x100u + s->frame.first);
        add(t, piece->opcode);
        add(t, s->compressed && piece->opcode < WSF_OP_CLOSE);
        add(t, piece->offset + piece->len);
        t->frames++;
    }
}

static story feed(wsf_parser s, const uint8_t *data, size_t size, size_t step,
                  bool short_first)
{
    story t = {.sum = 0xCBF29CE484222325u, .status = WSF_NEED_MORE};
    size_t done = 0;

    while (done < size && t.status == WSF_NEED_MORE) {
        const size_t n = size - done < step ? size - done : step;
        uint8_t *copy = copy_of(data + done, n);
        const uint8_t *cursor = copy;
        wsf_piece piece;

        for (;;) {
            const uint8_t *before = cursor;

            if (short_first && wsf_parser_short(&s, &cursor, copy + n, &piece)) {
                MUST(cursor > before && cursor <= copy + n);
                tell(&t, &s, &piece);
                continue;
            }
            t.status = wsf_parser_next(&s, &cursor, copy + n, &piece);
            MUST(cursor >= before && cursor <= copy + n);
            if (t.status != WSF_OK)
                break;
            MUST(piece.len == 0 ||
                 (piece.data >= copy && piece.data + piece.len <= cursor));
            tell(&t, &s, &piece);
        }
        if (t.status == WSF_NEED_MORE) {
            MUST(cursor == copy + n);
        } else { /* an error stays, and takes nothing more */
            const uint8_t *at = cursor;

            MUST(wsf_parser_next(&s, &at, copy + n, &piece) == t.status);
            MUST(at == cursor);
        }
        free(copy);
        done += n;
    }
    add(&t, (uint64_t)t.status);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t settings = take(&data, &size);
    const size_t step = 1u + take(&data, &size);
    wsf_parser s;
    story whole;

    wsf_parser_init(&s, (settings & 1) != 0);
    s.allow_rsv1 = (settings & 2) != 0;
    if (settings & 4)
        s.max_size = take(&data, &size) * 16u;
    if (settings & 8)
        s.max_fragments = take(&data, &size);
    if (settings & 16)
        s.max_wire_size = take(&data, &size) * 16u;
    whole = feed(s, data, size, size, false);
    for (int way = 0; way < 4; way++) {
        const story other = feed(s, data, size,
                                 way == 0   ? 1
                                 : way == 3 ? size
                                            : step,
                                 way >= 2);

        MUST(other.status == whole.status);
        MUST(other.frames == whole.frames);
        /* Of a frame that is refused in the middle, more or less may have come. */
        MUST(other.payload == whole.payload);
        MUST(other.sum == whole.sum);
    }
    return 0;
}
