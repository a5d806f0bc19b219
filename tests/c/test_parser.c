/* test_parser.c -- the frame parser (RFC 6455 §5): the same frames however the input is
 * cut, and each rule with its status. */
#include "check.h"

#include "wsf_mask.h"
#include "wsf_parser.h"

#include <string.h>

enum {
    FRAMES = 40,
    OCTETS = 32768,
    WHOLE = 0, /* ways to cut the input */
    ONE_BY_ONE = 1,
    AT_RANDOM = 2,
    SHORT_FIRST = 3, /* whole, trying wsf_parser_short() first */
    WAYS = 4
};

/* What the parser said, its pieces put together to frames. */
typedef struct story {
    struct {
        uint8_t first, opcode;
        bool compressed;
        size_t at, len; /* of the payload in `octets` */
    } frame[FRAMES];
    size_t frames, octets_used;
    uint8_t octets[OCTETS];
    wsf_status status; /* the last */
} story;

static wsf_parser new_parser(bool expect_masked, bool allow_rsv1)
{
    wsf_parser s;

    wsf_parser_init(&s, expect_masked);
    s.allow_rsv1 = allow_rsv1;
    return s;
}

/* Put a piece behind those of its frame. */
static void tell(story *t, const wsf_parser *s, const wsf_piece *piece, bool *inside)
{
    const wsf_kernels *scalar = wsf_kernels_best(0);

    if (!*inside) {
        CHECK(piece->offset == 0, "a frame starts at %zu", (size_t)piece->offset);
        CHECK(t->frames < FRAMES, "too many frames");
        t->frame[t->frames].first = s->frame.first;
        t->frame[t->frames].opcode = piece->opcode;
        t->frame[t->frames].compressed = s->compressed && piece->opcode < WSF_OP_CLOSE;
        t->frame[t->frames].at = t->octets_used;
        t->frame[t->frames].len = 0;
    }
    CHECK(piece->offset == t->frame[t->frames].len, "offset %zu of %zu",
          (size_t)piece->offset, t->frame[t->frames].len);
    CHECK(t->octets_used + piece->len <= OCTETS, "too many octets");
    wsf_mask(scalar, t->octets + t->octets_used, piece->data, piece->len, s->frame.key,
             piece->offset);
    t->octets_used += piece->len;
    t->frame[t->frames].len += piece->len;
    *inside = !piece->frame_end;
    t->frames += piece->frame_end;
}

/* Feed the octets, cut in one of the ways, each cut ending at an unmapped page. */
static void feed(story *t, wsf_parser s, const uint8_t *octets, size_t len, int way,
                 edged m)
{
    bool inside = false;
    size_t done = 0;

    memset(t, 0, sizeof *t);
    t->status = WSF_NEED_MORE;
    while (done < len && t->status == WSF_NEED_MORE) {
        size_t n = way == ONE_BY_ONE  ? 1
                   : way == AT_RANDOM ? 1 + random_below(40)
                                      : len;
        const uint8_t *cursor, *end = edged_end(m);
        wsf_piece piece;

        n = n < len - done ? n : len - done;
        cursor = memcpy(edged_end(m) - n, octets + done, n);
        done += n;
        while (t->frames < FRAMES) {
            if (way == SHORT_FIRST && wsf_parser_short(&s, &cursor, end, &piece)) {
                tell(t, &s, &piece, &inside);
                continue;
            }
            t->status = wsf_parser_next(&s, &cursor, end, &piece);
            if (t->status != WSF_OK)
                break;
            tell(t, &s, &piece, &inside);
        }
        CHECK(t->status != WSF_NEED_MORE || cursor == end, "%zu octets left over",
              (size_t)(end - cursor));
        if (t->status != WSF_NEED_MORE) { /* an error stays */
            cursor = edged_end(m) - 1;
            CHECK(wsf_parser_next(&s, &cursor, end, &piece) == t->status, "forgotten");
            CHECK(!wsf_parser_short(&s, &cursor, end, &piece), "forgotten");
            CHECK(cursor == edged_end(m) - 1, "input taken after an error");
        }
    }
    if (inside) /* a frame whose end did not come: its octets count all the same */
        t->frames++;
}

static bool same(const story *a, const story *b)
{
    if (a->status != b->status || a->frames != b->frames ||
        a->octets_used != b->octets_used ||
        memcmp(a->octets, b->octets, a->octets_used) != 0)
        return false;
    for (size_t i = 0; i < a->frames; i++) {
        if (a->frame[i].first != b->frame[i].first ||
            a->frame[i].opcode != b->frame[i].opcode ||
            a->frame[i].compressed != b->frame[i].compressed ||
            a->frame[i].at != b->frame[i].at || a->frame[i].len != b->frame[i].len)
            return false;
    }
    return true;
}

/* Append a frame to `octets`, and to what has to be told of it. */
static size_t append(uint8_t *octets, story *t, uint8_t first, uint8_t opcode,
                     bool compressed, size_t len, bool masked)
{
    const uint64_t random = random_u64();
    uint8_t key[4];
    size_t size;

    memcpy(key, &random, 4);
    size = wsf_header_encode(octets, first, len, masked ? key : NULL);
    t->frame[t->frames].first = first;
    t->frame[t->frames].opcode = opcode;
    t->frame[t->frames].compressed = compressed;
    t->frame[t->frames].at = t->octets_used;
    t->frame[t->frames].len = len;
    t->frames++;
    for (size_t i = 0; i < len; i++) {
        const uint8_t octet = (uint8_t)random_u64();

        t->octets[t->octets_used++] = octet;
        octets[size + i] = masked ? octet ^ key[i % 4] : octet;
    }
    return size + len;
}

/* A random conversation: messages, some in fragments, control frames between them. */
static size_t converse(uint8_t *octets, story *t, bool masked)
{
    static const size_t lengths[] = {0, 1, 5, 124, 125, 126, 127, 300, 3000};
    const size_t wanted = 1 + random_below(FRAMES - 10);
    uint8_t message = 0;
    bool compressed = false;
    size_t len = 0;

    memset(t, 0, sizeof *t);
    t->status = WSF_NEED_MORE;
    while (t->frames < wanted && len < OCTETS - 3100) {
        if (random_below(4) == 0) {
            const uint8_t opcode = (uint8_t)(WSF_OP_CLOSE + random_below(3));

            len += append(octets + len, t, (uint8_t)(WSF_FIN | opcode), opcode, false,
                          lengths[random_below(5)], masked);
        } else {
            const uint8_t fin = random_below(2) == 0 ? WSF_FIN : 0;
            uint8_t first = fin;

            if (message == 0) {
                message = (uint8_t)(WSF_OP_TEXT + random_below(2));
                compressed = random_below(3) == 0;
                first = (uint8_t)(fin | message | (compressed ? WSF_RSV1 : 0));
            }
            len += append(octets + len, t, first, message, compressed,
                          lengths[random_below(9)], masked);
            if (fin != 0)
                message = 0;
        }
    }
    return len;
}

static void parser_however_it_is_cut(const wsf_kernels *k)
{
    static story told, expected;
    static uint8_t octets[2 * OCTETS];
    const edged m = edged_new(sizeof octets);

    (void)k;
    for (int round = 0; round < 200; round++) {
        const bool masked = round % 2 == 0;
        const size_t len = converse(octets, &expected, masked);

        for (int way = 0; way < WAYS; way++) {
            feed(&told, new_parser(masked, true), octets, len, way, m);
            CHECK(same(&told, &expected), "round %d, way %d: status %d, %zu of %zu",
                  round, way, told.status, told.frames, expected.frames);
        }
    }
}

static void parser_noise(const wsf_kernels *k)
{
    static story told[WAYS];
    uint8_t octets[200];
    const edged m = edged_new(sizeof octets);

    (void)k;
    for (int round = 0; round < 20000; round++) {
        const size_t len = 1 + random_below(sizeof octets);
        wsf_parser s = new_parser(random_below(2) == 0, random_below(2) == 0);

        s.max_size = random_below(3) == 0 ? 100 : WSF_NO_LIMIT;
        for (size_t i = 0; i < len; i++)
            octets[i] = (uint8_t)random_u64();
        octets[0] = (uint8_t)(0x80 | random_below(3)); /* give it a chance to start */
        octets[1] = (uint8_t)((octets[1] & 0x80) | random_below(20));
        for (int way = 0; way < WAYS; way++)
            feed(&told[way], s, octets, len, way, m);
        for (int way = 1; way < WAYS; way++)
            CHECK(same(&told[way], &told[0]), "round %d, way %d: %d, not %d", round,
                  way, told[way].status, told[0].status);
    }
}

static void parser_rules(const wsf_kernels *k)
{
    static const struct {
        const char *octets;
        size_t len;
        size_t frames; /* before the fault */
        wsf_status status;
        bool allow_rsv1;
    } cases[] = {
#define C(literal, frames, status, rsv1)                                               \
    {literal, sizeof literal - 1, frames, status, rsv1}
        C("\xC1\x00", 0, WSF_E_RSV, false),
        C("\xA1\x00", 0, WSF_E_RSV, true),
        C("\x91\x00", 0, WSF_E_RSV, true),
        C("\xD1\x00", 0, WSF_E_RSV, true),
        C("\xC1\x00", 1, WSF_NEED_MORE, true),
        C("\x41\x00\xC0\x00", 1, WSF_E_RSV, true), /* RSV1 on a continuation */
        C("\xC8\x00", 0, WSF_E_RSV, true),
        C("\xC9\x00", 0, WSF_E_RSV, true),
        C("\xCA\x00", 0, WSF_E_RSV, true),
        C("\x83\x00", 0, WSF_E_OPCODE, true),
        C("\x87\x00", 0, WSF_E_OPCODE, true),
        C("\x8B\x00", 0, WSF_E_OPCODE, true),
        C("\x8F\x00", 0, WSF_E_OPCODE, true),
        C("\x81\x80\0\0\0\0", 0, WSF_E_MASKED, true),
        C("\x89\x80\0\0\0\0", 0, WSF_E_MASKED, true),
        C("\x89\x7E\x00\x7E", 0, WSF_E_CONTROL_LENGTH, true),
        C("\x88\x7F\0\0\0\0\0\x01\0\0", 0, WSF_E_CONTROL_LENGTH, true),
        C("\x09\x00", 0, WSF_E_CONTROL_FRAGMENTED, true),
        C("\x08\x00", 0, WSF_E_CONTROL_FRAGMENTED, true),
        C("\x80\x00", 0, WSF_E_CONTINUATION, true),
        C("\x00\x00", 0, WSF_E_CONTINUATION, true),
        C("\x81\x00\x80\x00", 1, WSF_E_CONTINUATION, true),
        C("\x01\x00\x80\x00\x80\x00", 2, WSF_E_CONTINUATION, true),
        C("\x01\x00\x01\x00", 1, WSF_E_EXPECTED_CONTINUATION, true),
        C("\x01\x00\x89\x00\x82\x00", 2, WSF_E_EXPECTED_CONTINUATION, true),
        C("\x82\x7F\x80\0\0\0\0\0\0\0", 0, WSF_E_LENGTH_RANGE, true),
        C("\x82\x7E\x00\x7D", 0, WSF_E_LENGTH_MINIMAL, true),
        C("\x82\x7F\0\0\0\0\0\0\xFF\xFF", 0, WSF_E_LENGTH_MINIMAL, true),
        C("\x81\x01"
          "a"
          "\x83\x00",
          1, WSF_E_OPCODE, true),
        C("\x01\x00\x89\x00\x80\x00", 3, WSF_NEED_MORE, true),
#undef C
    };
    static story t;
    const edged m = edged_new(64);

    (void)k;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int way = 0; way < WAYS; way++) {
            feed(&t, new_parser(false, cases[i].allow_rsv1),
                 (const uint8_t *)cases[i].octets, cases[i].len, way, m);
            CHECK(t.status == cases[i].status && t.frames == cases[i].frames,
                  "case %zu, way %d: status %d behind %zu frames", i, way, t.status,
                  t.frames);
        }
    }
    feed(&t, new_parser(true, false), (const uint8_t *)"\x81\x00", 2, WHOLE, m);
    CHECK(t.status == WSF_E_UNMASKED, "a server takes masked frames only");
    feed(&t, new_parser(true, false), (const uint8_t *)"\x8A\x00", 2, WHOLE, m);
    CHECK(t.status == WSF_E_UNMASKED, "control frames too");
}

/* A frame is refused at its header, whatever it says of its length. */
static void parser_size_limits(const wsf_kernels *k)
{
    static story t;
    const edged m = edged_new(1024);
    uint8_t octets[1024];

    (void)k;
    for (int compressed = 0; compressed < 2; compressed++) {
        for (int way = 0; way < WAYS; way++) {
            const uint8_t rsv1 = compressed ? WSF_RSV1 : 0;
            wsf_parser s = new_parser(false, true);
            size_t len;

            s.max_size = compressed ? 10 : 300;
            s.max_wire_size = compressed ? 300 : 10;
            for (size_t total = 299; total <= 301; total++) {
                const wsf_status expected =
                    total <= 300 ? WSF_NEED_MORE : WSF_E_TOO_BIG;

                memset(octets, 0, sizeof octets);
                len = wsf_header_encode(octets, (uint8_t)(0x82 | rsv1), total, NULL);
                feed(&t, s, octets, len + total, way, m);
                CHECK(t.status == expected, "one frame of %zu: %d", total, t.status);
                CHECK(t.octets_used == (total <= 300 ? total : 0), "%zu",
                      t.octets_used);

                memset(octets, 0, sizeof octets); /* 100, and a ping, and the rest */
                len =
                    wsf_header_encode(octets, (uint8_t)(0x02 | rsv1), 100, NULL) + 100;
                len += wsf_header_encode(octets + len, 0x89, 120, NULL) + 120;
                len += wsf_header_encode(octets + len, 0x80, total - 100, NULL);
                feed(&t, s, octets, len + total - 100, way, m);
                CHECK(t.status == expected, "two frames of %zu: %d", total, t.status);
            }
            len = wsf_header_encode(octets, (uint8_t)(0x82 | rsv1), INT64_MAX, NULL);
            feed(&t, s, octets, len, way, m);
            CHECK(t.status == WSF_E_TOO_BIG, "2^63 - 1: %d", t.status);
        }
    }
}

/* Each fragment costs one, each octet of payload pays for one. */
static void parser_fragment_budget(const wsf_kernels *k)
{
    const uint8_t start[] = {0x01, 0x00}, empty[] = {0x00, 0x00};
    const uint8_t full[] = {0x00, 0x01, 'x'};

    (void)k;
    for (int paid = 0; paid < 2; paid++) {
        wsf_parser s = new_parser(false, false);
        wsf_status status = WSF_OK;
        wsf_piece piece;
        size_t frames = 0;

        s.max_fragments = 100;
        for (; status == WSF_OK && frames < 5000; frames++) {
            const uint8_t *cursor = frames == 0 ? start : paid ? full : empty;

            status =
                wsf_parser_next(&s, &cursor, cursor + (frames && paid ? 3 : 2), &piece);
        }
        CHECK(frames == (paid ? 5000 : 101), "%zu frames, %d", frames, status);
        CHECK(status == (paid ? WSF_OK : WSF_E_FRAGMENTS), "status %d", status);
    }
}

/* The budget is a message's own: the next one starts anew. */
static void parser_budget_starts_anew(const wsf_kernels *k)
{
    wsf_parser s = new_parser(false, false);
    wsf_piece piece;

    (void)k;
    s.max_fragments = 3;
    s.max_size = 4;
    for (int message = 0; message < 10; message++) {
        const uint8_t octets[] = {0x02, 0x00, 0x00, 0x00, 0x80, 0x04, 1, 2, 3, 4};
        const uint8_t *cursor = octets, *end = octets + sizeof octets;

        for (int frame = 0; frame < 3; frame++)
            CHECK(wsf_parser_next(&s, &cursor, end, &piece) == WSF_OK, "message %d",
                  message);
        CHECK(wsf_parser_next(&s, &cursor, end, &piece) == WSF_NEED_MORE, "message %d",
              message);
    }
}

static void parser_skip(const wsf_kernels *k)
{
    const uint8_t head[] = {0x82, 0x7E, 0x01, 0x00}, next[] = {0x89, 0x00};
    wsf_parser s = new_parser(false, false);
    const uint8_t *cursor = head;
    uint8_t rest[100] = {0};
    wsf_piece piece;

    (void)k;
    CHECK(wsf_parser_next(&s, &cursor, head + 4, &piece) == WSF_NEED_MORE &&
              s.remaining == 256,
          "nothing but a header");
    wsf_parser_skip(&s, 156);
    cursor = rest;
    CHECK(wsf_parser_next(&s, &cursor, rest + 50, &piece) == WSF_OK &&
              piece.len == 50 && piece.offset == 156 && !piece.frame_end,
          "offset %zu", (size_t)piece.offset);
    wsf_parser_skip(&s, 50);
    cursor = rest;
    CHECK(wsf_parser_next(&s, &cursor, rest, &piece) == WSF_OK && piece.len == 0 &&
              piece.frame_end && piece.offset == 256,
          "the end");
    cursor = next;
    CHECK(wsf_parser_next(&s, &cursor, next + 2, &piece) == WSF_OK &&
              piece.opcode == WSF_OP_PING,
          "the next frame");
}

/* What wsf_parser_short() does not take it does not touch either. */
static void parser_short_changes_nothing(const wsf_kernels *k)
{
    static const char *const others[] = {
        "\x01\x00",          "\x80\x00",     "\x89\x00",         "\xC1\x00",
        "\x81\x80\1\1",      "\x81\x02x",    "\x82\x7E\x00\x7E", "\x83\x00",
        "\x82\x7E\x00\x01x", "\x82\x7E\x00", "\x82\x7F",
    };
    static const size_t lengths[] = {2, 2, 2, 2, 4, 3, 4, 2, 5, 3, 2};

    (void)k;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const uint8_t *const octets = (const uint8_t *)others[i];
        const uint8_t *cursor = octets;
        wsf_parser s, before;
        wsf_piece piece;

        memset(&s, 0, sizeof s);
        wsf_parser_init(&s, false);
        memcpy(&before, &s, sizeof s);
        CHECK(!wsf_parser_short(&s, &cursor, octets + lengths[i], &piece), "case %zu",
              i);
        CHECK(cursor == octets && memcmp(&s, &before, sizeof s) == 0, "case %zu", i);
    }
}

/* Nor does it take a frame in the middle of something, or beyond a limit. */
static void parser_short_knows_its_place(const wsf_kernels *k)
{
    static const uint8_t frame[] = {0x82, 0x01, 'x', 0x82, 0x00};
    const uint8_t *cursor = frame;
    wsf_piece piece;

    (void)k;
    for (int which = 0; which < 8; which++) {
        const uint8_t *end = frame + 3;
        wsf_parser s;

        wsf_parser_init(&s, false);
        cursor = frame;
        switch (which) {
        case 0: /* half a header */
            end = frame + 1;
            break;
        case 1:
            s.in_frame = true;
            break;
        case 2:
            s.opcode = WSF_OP_TEXT; /* of a message in progress */
            break;
        case 3:
            s.head_len = 1; /* octets of a header that came before */
            break;
        case 4:
            s.error = WSF_E_RSV;
            break;
        case 5:
            s.max_size = 0;
            break;
        case 6: /* no fragment without an octet */
            s.max_fragments = 0;
            cursor = frame + 3;
            end = frame + 5;
            break;
        default: /* and one that holds an octet pays for itself */
            s.max_fragments = 0;
            CHECK(wsf_parser_short(&s, &cursor, end, &piece), "refused");
            CHECK(cursor == end && piece.len == 1 && piece.data[0] == 'x', "the piece");
            continue;
        }
        CHECK(!wsf_parser_short(&s, &cursor, end, &piece), "taken in case %d", which);
        CHECK(cursor == (which == 6 ? frame + 3 : frame), "moved in case %d", which);
    }
}

const test parser_tests[] = {
    ONCE(parser_however_it_is_cut),
    ONCE(parser_noise),
    ONCE(parser_rules),
    ONCE(parser_size_limits),
    ONCE(parser_fragment_budget),
    ONCE(parser_budget_starts_anew),
    ONCE(parser_skip),
    ONCE(parser_short_changes_nothing),
    ONCE(parser_short_knows_its_place),
    {0},
};
