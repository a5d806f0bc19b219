/* test_events.c -- lines and fields of event streams (WHATWG HTML §9.2.5, §9.2.6). */
#include "check.h"

#include "wsf_events.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 256
};

/* All lines of a stream, each with a '|' behind it; what has no end yet has none. */
typedef struct heard {
    uint8_t text[ROOM];
    size_t len;
} heard;

static edged inside, outside; /* a stream, and what is written, each up to an edge */

static void hear(wsf_lines *s, heard *h, const uint8_t *data, size_t len)
{
    const uint8_t *cursor = data;
    wsf_line piece;

    while (wsf_lines_next(s, &cursor, data + len, &piece)) {
        if (h->len + piece.len + 1 > ROOM)
            abort();
        memcpy(h->text + h->len, piece.data, piece.len);
        h->len += piece.len;
        if (piece.end)
            h->text[h->len++] = '|';
    }
    CHECK(cursor == data + len, "%zu octets left", (size_t)(data + len - cursor));
}

static const struct {
    const char *stream;
    const char *lines;
} lines_of[] = {
    {"", ""},
    {"a\n\nb\n", "a||b|"},
    {"a\r\rb\r", "a||b|"},
    {"a\r\n\r\nb\r\n", "a||b|"},
    {"\n\r\n\r\n\r", "||||"},
    {"\r\n\n\r", "|||"},
    {"no end", "no end"},
    {"12345678\r12345678\n123456789\r\n1234567", "12345678|12345678|123456789|1234567"},
    {"\xEF\xBB\xBF"
     "a\n",
     "a|"},
    {"\xEF\xBB\xBF\r\n\xEF\xBB\xBF"
     "a\n",
     "|\xEF\xBB\xBF"
     "a|"},
    {"\xEF\xBB\xBF\xEF\xBB\xBF\n", "\xEF\xBB\xBF|"},
    {"\xEF\xBB\n", "\xEF\xBB|"},
    {"\xEF\xEF\xBB\xBF\n", "\xEF\xEF\xBB\xBF|"},
    {"\xEF\n", "\xEF|"},
    {"a\xEF\xBB\xBF\n", "a\xEF\xBB\xBF|"},
};

/* Whole, octet by octet, and in two pieces cut anywhere: the same lines each time, and
 * no octet read behind the input. */
static void events_lines(const wsf_kernels *k)
{
    (void)k;
    inside = edged_new(ROOM);
    for (size_t i = 0; i < sizeof lines_of / sizeof lines_of[0]; i++) {
        const size_t len = strlen(lines_of[i].stream);
        const size_t want = strlen(lines_of[i].lines);
        uint8_t *data = edged_end(inside) - len;

        memcpy(data, lines_of[i].stream, len);
        for (size_t cut = 0; cut <= len + 1; cut++) {
            wsf_lines s = {0};
            heard h = {.len = 0};

            if (cut <= len) {
                memmove(edged_end(inside) - cut, lines_of[i].stream, cut);
                hear(&s, &h, edged_end(inside) - cut, cut);
                memcpy(data, lines_of[i].stream, len);
                hear(&s, &h, data + cut, len - cut);
            } else {
                for (size_t at = 0; at < len; at++)
                    hear(&s, &h, data + at, 1);
            }
            CHECK(h.len == want && memcmp(h.text, lines_of[i].lines, want) == 0,
                  "stream %zu cut at %zu: %.*s", i, cut, (int)h.len,
                  (const char *)h.text);
        }
    }
}

static void events_random_cuts(const wsf_kernels *k)
{
    static const uint8_t alphabet[] = {'\r', '\n', 'a', ':', 0xEF, 0xBB, 0xBF, 0};

    (void)k;
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t data[100];
        const size_t len = random_below(sizeof data);
        wsf_lines whole = {0}, cut = {0};
        heard one = {.len = 0}, other = {.len = 0};

        for (size_t i = 0; i < len; i++)
            data[i] = alphabet[random_below(sizeof alphabet)];
        hear(&whole, &one, data, len);
        for (size_t at = 0; at < len;) {
            const size_t n = 1 + random_below(len - at);

            hear(&cut, &other, data + at, n);
            at += n;
        }
        CHECK(one.len == other.len && memcmp(one.text, other.text, one.len) == 0,
              "round %u", round);
    }
}

static const struct {
    const char *line;
    wsf_field field;
    const char *value;
} fields[] = {
    {"", WSF_FIELD_NONE, ""},
    {":", WSF_FIELD_COMMENT, ""},
    {": hi", WSF_FIELD_COMMENT, "hi"},
    {":data: x", WSF_FIELD_COMMENT, "data: x"},
    {"data", WSF_FIELD_DATA, ""},
    {"data:", WSF_FIELD_DATA, ""},
    {"data: ", WSF_FIELD_DATA, ""},
    {"data:  two", WSF_FIELD_DATA, " two"},
    {"data:a:b", WSF_FIELD_DATA, "a:b"},
    {"data: \t", WSF_FIELD_DATA, "\t"},
    {"event:e", WSF_FIELD_EVENT, "e"},
    {"id: 7", WSF_FIELD_ID, "7"},
    {"retry:9", WSF_FIELD_RETRY, "9"},
    {"Data: x", WSF_FIELD_OTHER, "x"},
    {"data : x", WSF_FIELD_OTHER, "x"},
    {" data: x", WSF_FIELD_OTHER, "x"},
    {"dat", WSF_FIELD_OTHER, ""},
    {"datas:x", WSF_FIELD_OTHER, "x"},
};

static void events_fields(const wsf_kernels *k)
{
    (void)k;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const size_t len = strlen(fields[i].line);
        uint8_t *line = edged_end(inside) - len;
        size_t value = 99;

        memcpy(line, fields[i].line, len);
        CHECK(wsf_event_field(line, len, &value) == fields[i].field, "%s",
              fields[i].line);
        CHECK(value <= len && len - value == strlen(fields[i].value) &&
                  memcmp(line + value, fields[i].value, len - value) == 0,
              "%s: value at %zu", fields[i].line, value);
    }
}

static void events_retry(const wsf_kernels *k)
{
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "1.5", "0x1", "1e3"};
    static const struct {
        const char *text;
        uint32_t ms;
    } good[] = {{"0", 0},
                {"3000", 3000},
                {"007", 7},
                {"4294967295", UINT32_MAX},
                {"4294967296", UINT32_MAX},
                {"99999999999999999999999999999999", UINT32_MAX}};
    uint32_t ms = 5;

    (void)k;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!wsf_event_retry((const uint8_t *)bad[i], strlen(bad[i]), &ms) && ms == 5,
              "%s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(
            wsf_event_retry((const uint8_t *)good[i].text, strlen(good[i].text), &ms) &&
                ms == good[i].ms,
            "%s gave %u", good[i].text, (unsigned)ms);
}

static const struct {
    const char *data;
    const char *encoded;
} data_of[] = {
    {"", "data: \n"},
    {"a", "data: a\n"},
    {"a\nb", "data: a\ndata: b\n"},
    {"a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n"},
    {"\n\r\r\n", "data: \ndata: \ndata: \ndata: \n"},
    {"\r", "data: \ndata: \n"},
    {"12345678\r1234567\n", "data: 12345678\ndata: 1234567\ndata: \n"},
};

static void events_data(const wsf_kernels *k)
{
    (void)k;
    outside = edged_new(ROOM);
    for (size_t i = 0; i < sizeof data_of / sizeof data_of[0]; i++) {
        const size_t len = strlen(data_of[i].data), want = strlen(data_of[i].encoded);
        uint8_t *data = edged_end(inside) - len;
        uint8_t *out = edged_end(outside) - want;

        memcpy(data, data_of[i].data, len);
        CHECK(wsf_event_data_size(data, len) == want, "size of %zu", i);
        CHECK(wsf_event_data_encode(out, data, len) == out + want, "end of %zu", i);
        CHECK(memcmp(out, data_of[i].encoded, want) == 0, "data %zu", i);
        CHECK(wsf_event_is_line(data, len) ==
                  (strpbrk(data_of[i].data, "\r\n") == NULL),
              "line %zu", i);
    }
}

const test events_tests[] = {
    ONCE(events_lines), ONCE(events_random_cuts), ONCE(events_fields),
    ONCE(events_retry), ONCE(events_data),        {0},
};
