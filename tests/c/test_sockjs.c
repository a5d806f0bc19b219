/* test_sockjs.c -- arrays of JSON strings (SockJS protocol 0.3.3, RFC 8259 §7). */
#include "check.h"

#include "wsf_sockjs.h"

#include <string.h>

enum {
    ROOM = 700
};

static edged inside, outside; /* what is read and what is written, each up to an edge */

static const struct {
    const char *text;
    const char *quoted; /* without its quotation marks */
} strings[] = {
    {"", ""},
    {"hello", "hello"},
    {"12345678", "12345678"},
    {"1234567\"", "1234567\\\""},
    {"12345678\\9", "12345678\\\\9"},
    {"\b\f\n\r\t", "\\b\\f\\n\\r\\t"},
    {"\x01\x1f\x7f/", "\\u0001\\u001f\x7f/"},
    {"\xc3\xa9", "\xc3\xa9"},                            /* U+00E9 */
    {"\xe2\x80\x8b\xe2\x80\x8c", "\xe2\x80\x8b\\u200c"}, /* U+200B, U+200C */
    {"\xe2\x80\x8f\xe2\x80\x90", "\\u200f\xe2\x80\x90"},
    {"\xe2\x80\xa7\xe2\x80\xa8", "\xe2\x80\xa7\\u2028"},
    {"\xe2\x80\xaf\xe2\x80\xb0", "\\u202f\xe2\x80\xb0"},
    {"\xe2\x81\x9f\xe2\x81\xa0", "\xe2\x81\x9f\\u2060"},
    {"\xe2\x81\xaf\xe2\x81\xb0", "\\u206f\xe2\x81\xb0"},
    {"\xef\xbf\xaf\xef\xbf\xb0", "\xef\xbf\xaf\\ufff0"},
    {"\xef\xbf\xbf", "\\uffff"},
    {"\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"}, /* around surrogates */
    {"\xed\xa0\x80\xed\xbf\xbf", "\\ud800\\udfff"},
    {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\\ud800\\udc00\\udbff\\udfff"},
    {"\xf0\x9f\x9a\x80!", "\\ud83d\\ude80!"}, /* U+1F680 */
};

/* One string of an array; its text is written to the end of `outside`. */
static size_t read_one(const uint8_t *data, size_t len, wsf_sockjs_item *item)
{
    wsf_sockjs_reader r = {.pos = data, .end = data + len};
    wsf_sockjs_string s;
    size_t lone, size = 0;

    *item = wsf_sockjs_next(&r, &s);
    if (*item == WSF_SOCKJS_STRING) {
        uint8_t *to = edged_end(outside) - s.len;

        size = (size_t)(wsf_sockjs_unescape(to, s.data, s.len, &lone) - to);
        memmove(edged_end(outside) - size, to, size);
        if (!s.escaped)
            CHECK(memcmp(edged_end(outside) - size, s.data, size) == 0, "plain");
        *item = wsf_sockjs_next(&r, &s);
    }
    return size;
}

static void sockjs_quote(const wsf_kernels *k)
{
    (void)k;
    inside = edged_new(ROOM);
    outside = edged_new(ROOM);
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        const size_t len = strlen(strings[i].text), want = strlen(strings[i].quoted);
        uint8_t *data = edged_end(inside) - len;
        uint8_t *out = edged_end(outside) - want - 2;

        memcpy(data, strings[i].text, len);
        CHECK(wsf_sockjs_quoted_size(data, len) == want + 2, "size of %zu", i);
        CHECK(wsf_sockjs_quote(out, data, len) == edged_end(outside), "end of %zu", i);
        CHECK(out[0] == '"' && out[want + 1] == '"', "marks of %zu", i);
        CHECK(memcmp(out + 1, strings[i].quoted, want) == 0, "string %zu", i);
    }
}

/* Octets that are no UTF-8, cut anywhere: written as they are, and none beyond read. */
static void sockjs_quote_no_text(const wsf_kernels *k)
{
    static const uint8_t alphabet[] = {'a',  '"',  '\\', '\n', 0,    0x80, 0xBF, 0xE2,
                                       0x80, 0xA8, 0xED, 0xA0, 0xEF, 0xBF, 0xF0, 0xF4};

    (void)k;
    inside = edged_new(ROOM);
    outside = edged_new(ROOM);
    for (unsigned round = 0; round < 5000; round++) {
        const size_t len = random_below(40);
        uint8_t *data = edged_end(inside) - len;
        size_t size;

        for (size_t i = 0; i < len; i++)
            data[i] = alphabet[random_below(sizeof alphabet)];
        size = wsf_sockjs_quoted_size(data, len);
        CHECK(size >= len + 2 && size <= 6 * len + 2, "%zu of %zu", size, len);
        CHECK(wsf_sockjs_quote(edged_end(outside) - size, data, len) ==
                  edged_end(outside),
              "round %u", round);
    }
}

static const struct {
    const char *array;
    const char *items; /* the texts, each with a '|' behind it, then how it ends */
} arrays[] = {
    {"[]", "END"},
    {" [ ] ", "END"},
    {"[\"a\"]", "a|END"},
    {"\t[\r\n\"a\" , \"bc\"\n] ", "a|bc|END"},
    {"[\"\",\"\"]", "||END"},
    {"[\"12345678\\n\"]", "12345678\n|END"},
    {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\"]", "\"\\/\b\f\n\r\tA\xc3\xa9|END"},
    {"[\"\\uD83D\\uDE80\"]", "\xf0\x9f\x9a\x80|END"},
    {"[\"\\ud83d\"]", "\xed\xa0\xbd|END"},
    {"[\"\\ude80\\ud83d\"]", "\xed\xba\x80\xed\xa0\xbd|END"},
    {"[\"\\ud83d\\ud83d\\ude80\"]", "\xed\xa0\xbd\xf0\x9f\x9a\x80|END"},
    {"[\"\\ud83dx\"]", "\xed\xa0\xbdx|END"},
    {"[\"\\ud83d\\n\"]", "\xed\xa0\xbd\n|END"},
    {"[\"\\ud83dxude80\"]", "\xed\xa0\xbdxude80|END"},
    {"[\"\\ud83d\\nde80\"]", "\xed\xa0\xbd\nde80|END"},
    {"[\"\\ud83d\\ue000\"]", "\xed\xa0\xbd\xee\x80\x80|END"},
    {"[\"\\ud83d\\ud7ff\"]", "\xed\xa0\xbd\xed\x9f\xbf|END"},
    {"", "OTHER"},
    {"  ", "OTHER"},
    {"\"a\"", "OTHER"},
    {"{}", "OTHER"},
    {"1", "OTHER"},
    {"null", "OTHER"},
    {"[1]", "OTHER"},
    {"[\"a\",[", "a|OTHER"},
    {"[[[[[[", "OTHER"},
    {"x", "BROKEN"},
    {"[", "BROKEN"},
    {"[x", "BROKEN"},
    {"[,", "BROKEN"},
    {"[\"", "BROKEN"},
    {"[\"a", "BROKEN"},
    {"[\"a\"", "a|BROKEN"},
    {"[\"a\",", "a|BROKEN"},
    {"[\"a\",]", "a|BROKEN"},
    {"[\"a\"x", "a|BROKEN"},
    {"[\"a\"]]", "a|BROKEN"},
    {"[\"a\"]x", "a|BROKEN"},
    {"[]x", "BROKEN"},
    {"[\"a\n\"]", "BROKEN"},
    {"[\"12345678\x1f\"]", "BROKEN"},
    {"[\"\\", "BROKEN"},
    {"[\"\\x\"]", "BROKEN"},
    {"[\"\\u\"]", "BROKEN"},
    {"[\"\\u004\"]", "BROKEN"},
    {"[\"\\u004g\"]", "BROKEN"},
    {"[\"\\u004", "BROKEN"},
    {"[\"\\U0041\"]", "BROKEN"},
};

static void sockjs_arrays(const wsf_kernels *k)
{
    static const char *const ends[] = {"", "END", "BROKEN", "OTHER"};

    (void)k;
    inside = edged_new(ROOM);
    outside = edged_new(ROOM);
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        const size_t len = strlen(arrays[i].array);
        uint8_t *data = edged_end(inside) - len;
        wsf_sockjs_reader r = {.pos = data, .end = edged_end(inside)};
        wsf_sockjs_string s;
        wsf_sockjs_item item;
        char heard[ROOM];
        size_t at = 0, lone;

        memcpy(data, arrays[i].array, len);
        while ((item = wsf_sockjs_next(&r, &s)) == WSF_SOCKJS_STRING) {
            uint8_t *to = edged_end(outside) - s.len;
            const size_t n =
                (size_t)(wsf_sockjs_unescape(to, s.data, s.len, &lone) - to);

            memcpy(heard + at, to, n);
            at += n;
            heard[at++] = '|';
        }
        strcpy(heard + at, ends[item]);
        CHECK(strcmp(heard, arrays[i].items) == 0, "array %zu: %s", i, heard);
    }
}

static void sockjs_single(const wsf_kernels *k)
{
    static const struct {
        const char *text;
        wsf_sockjs_item first, then;
    } singles[] = {
        {" \"a\" ", WSF_SOCKJS_STRING, WSF_SOCKJS_END},
        {"\"a\"x", WSF_SOCKJS_STRING, WSF_SOCKJS_BROKEN},
        {"\"a", WSF_SOCKJS_BROKEN, WSF_SOCKJS_BROKEN},
        {"[\"a\"]", WSF_SOCKJS_STRING, WSF_SOCKJS_END},
        {"1", WSF_SOCKJS_OTHER, WSF_SOCKJS_OTHER},
        {"", WSF_SOCKJS_OTHER, WSF_SOCKJS_OTHER},
    };

    (void)k;
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        const uint8_t *text = (const uint8_t *)singles[i].text;
        wsf_sockjs_reader r = {
            .pos = text, .end = text + strlen(singles[i].text), .single = true};
        wsf_sockjs_string s;

        CHECK(wsf_sockjs_next(&r, &s) == singles[i].first, "first of %zu", i);
        if (singles[i].first == WSF_SOCKJS_STRING)
            CHECK(wsf_sockjs_next(&r, &s) == singles[i].then, "then of %zu", i);
    }
}

/* What was quoted is read as it was; what is made up is read to its end at most. */
static void sockjs_random(const wsf_kernels *k)
{
    static const char *const points[] = {"a",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "\xc3\xa9",
                                         "\xe2\x80\xa8",
                                         "\xef\xbf\xbf",
                                         "\xf0\x9f\x9a\x80",
                                         "\xe2\x82\xac",
                                         "12345678"};
    static const uint8_t alphabet[] = {'[', ']',  ',', '"', '"', '\\', 'u', 'd',
                                       '8', '\n', ' ', 'n', 'c', '0',  0xE2};

    (void)k;
    inside = edged_new(ROOM);
    outside = edged_new(ROOM);
    for (unsigned round = 0; round < 5000; round++) {
        uint8_t text[ROOM];
        size_t len = 0, size;
        wsf_sockjs_item item;
        uint8_t *data;

        for (size_t n = random_below(8); n > 0; n--) {
            const char *point = points[random_below(sizeof points / sizeof points[0])];

            memcpy(text + len, point, strlen(point));
            len += strlen(point);
        }
        size = wsf_sockjs_quoted_size(text, len);
        data = edged_end(inside) - size - 2;
        data[0] = '[';
        wsf_sockjs_quote(data + 1, text, len);
        data[size + 1] = ']';
        CHECK(read_one(data, size + 2, &item) == len && item == WSF_SOCKJS_END &&
                  memcmp(edged_end(outside) - len, text, len) == 0,
              "round %u", round);

        size = random_below(30);
        data = edged_end(inside) - size;
        for (size_t i = 0; i < size; i++)
            data[i] = alphabet[random_below(sizeof alphabet)];
        read_one(data, size, &item);
    }
}

const test sockjs_tests[] = {
    ONCE(sockjs_quote),  ONCE(sockjs_quote_no_text), ONCE(sockjs_arrays),
    ONCE(sockjs_single), ONCE(sockjs_random),        {0},
};
