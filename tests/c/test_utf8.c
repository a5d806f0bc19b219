/* test_utf8.c -- validation of UTF-8: verdict and first bad octet, at once and in
 * pieces, for each kernel at each place in its vectors. */
#include "check.h"
#include "utf8_book.h"

#include "wsf_utf8.h"

#include <stdio.h>
#include <string.h>

enum {
    LENGTHS = 301
};

/* Feed `text` cut into pieces of `piece` octets, at random if that is 0. Returns the
 * index of the first bad octet, `len` if there is none. */
static size_t feed(const wsf_kernels *k, const uint8_t *text, size_t len, size_t piece,
                   bool *complete)
{
    wsf_utf8 s = {{0, 0, 0}, 0};
    size_t done = 0;

    *complete = false;
    while (done < len) {
        size_t n = piece != 0 ? piece : random_below(len + 1 < 80 ? len + 1 : 80);
        size_t bad = SIZE_MAX;

        n = n < len - done ? n : len - done;
        if (wsf_utf8_feed(k, &s, text + done, n, &bad) != WSF_OK) {
            CHECK(bad < n, "bad octet %zu of %zu", bad, n);
            return done + bad;
        }
        CHECK(bad == SIZE_MAX, "an index without an error");
        done += n;
    }
    *complete = wsf_utf8_complete(&s);
    return len;
}

/* Compare everything that can be said about a text with the book. */
static void compare(const wsf_kernels *k, const uint8_t *text, size_t len)
{
    const size_t pieces[] = {len + 1, 1, 0};
    bool whole, complete;
    const size_t expected = book_check(text, len, &whole);
    const size_t good = k->utf8(text, len);
    char hex[3 * 24 + 1] = "";

    for (size_t i = 0; i < len && i < 24; i++)
        snprintf(hex + 3 * i, 4, "%02x ", text[i]);
    CHECK(wsf_utf8_valid(k, text, len) == (expected == len && whole),
          "valid is %d, len %zu, bad octet %zu, %s", good == len, len, expected, hex);
    if (good != len) {
        bool ends;

        CHECK(good <= expected, "%zu said to be good, %zu are", good, expected);
        CHECK(book_check(text, good, &ends) == good && ends, "%zu inside a character",
              good);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const size_t found = feed(k, text, len, pieces[i], &complete);

        CHECK(found == expected, "found %zu, is %zu, len %zu, pieces of %zu, %s", found,
              expected, len, pieces[i], hex);
        CHECK(found != len || complete == whole,
              "complete is %d, len %zu, pieces of %zu", complete, len, pieces[i]);
    }
}

static void utf8_each_length_and_alignment(const wsf_kernels *k)
{
    const edged m = edged_new(4096);

    for (size_t len = 0; len < LENGTHS; len++) {
        for (size_t shift = 0; shift < alignments; shift++) {
            uint8_t *const places[] = {edged_end(m) - len - shift, m.begin + shift};
            const uint32_t highest = shift % 3 == 0   ? 0x10FFFF
                                     : shift % 3 == 1 ? 0x7FF
                                                      : 0x7F;

            for (int p = 0; p < 2; p++) {
                uint8_t *const text = places[p];

                memset(m.begin, 0xFF, m.size);
                random_text(text, len, highest, (unsigned)(shift % 16));
                CHECK(wsf_utf8_valid(k, text, len), "len %zu, shift %zu", len, shift);
                if (len == 0)
                    continue;
                text[random_below(len)] ^= (uint8_t)(1u << random_below(8));
                compare(k, text, len);
                compare(k, text, len - 1);
            }
        }
    }
}

/* THREATS of their own: each kind of fault, and its nearest valid neighbours. */
static const struct {
    const char *octets;
    size_t len;
} samples[] = {
#define S(literal) {literal, sizeof literal - 1}
    S("\x80"),
    S("\xBF"),
    S("\xC0\x80"),
    S("\xC1\xBF"),
    S("\xC2\x80"),
    S("\xC2\x7F"),
    S("\xC2\xC0"),
    S("\xDF\xBF"),
    S("\xDF\xBF\x80"),
    S("\xE0\x80\x80"),
    S("\xE0\x9F\xBF"),
    S("\xE0\xA0\x80"),
    S("\xE0\xA0\x7F"),
    S("\xE0\xA0\xC2"),
    S("\xE1\x80\x80"),
    S("\xE1\x80"),
    S("\xEC\xBF\xBF"),
    S("\xED\x9F\xBF"),
    S("\xED\xA0\x80"),
    S("\xED\xBF\xBF"),
    S("\xEE\x80\x80"),
    S("\xEF\xBF\xBF"),
    S("\xEF\xBF\xBF\x80"),
    S("\xF0\x80\x80\x80"),
    S("\xF0\x8F\xBF\xBF"),
    S("\xF0\x90\x80\x80"),
    S("\xF0\x90\x80"),
    S("\xF0\x90"),
    S("\xF0"),
    S("\xE1"),
    S("\xC2"),
    S("\xF1\x80\x80\x80"),
    S("\xF3\xBF\xBF\xBF"),
    S("\xF4\x8F\xBF\xBF"),
    S("\xF4\x90\x80\x80"),
    S("\xF4\x80\x80\x80\x80"),
    S("\xF5\x80\x80\x80"),
    S("\xF5"),
    S("\xF8\x88\x80\x80\x80"),
    S("\xFC\x84\x80\x80\x80\x80"),
    S("\xFE"),
    S("\xFF"),
    S("\xC2\xC2\x80"),
    S("\xE1\xE1\x80\x80"),
    S("\xF1\xF1\x80\x80\x80"),
    S("\xE1\x80\xE1\x80\x80"),
    S("\xF1\x80\x80\xF1\x80\x80\x80"),
    S("\xC2\x80\x80"),
    S("\xE1\x80\x80\x80"),
    S("\xF1\x80\x80\x80\x80"),
    S("\xF0\x90\x80\x41"),
    S("\xED\xA0\x80\xED\xB0\x80"),
    S("\x00"),
    S("\x7F"),
#undef S
};

static void utf8_faults_at_each_place(const wsf_kernels *k)
{
    static const char *const around[] = {"a", "\xC3\xA9", "\xE2\x82\xAC",
                                         "\xF0\x9F\x98\x80"};
    const edged m = edged_new(1024);

    for (size_t s = 0; s < sizeof samples / sizeof samples[0]; s++) {
        for (size_t a = 0; a < 4; a++) {
            const size_t unit = strlen(around[a]);

            for (size_t at = 0; at < 280; at += unit) {
                /* alone at the end, or with text behind it */
                const size_t behind = at % 3 == 0 ? 0 : 1 + random_below(70);
                const size_t len = at + samples[s].len + behind * unit;
                uint8_t *const text = edged_end(m) - len;

                for (size_t i = 0; i < at; i++)
                    text[i] = (uint8_t)around[a][i % unit];
                memcpy(text + at, samples[s].octets, samples[s].len);
                for (size_t i = 0; i < behind * unit; i++)
                    text[at + samples[s].len + i] = (uint8_t)around[a][i % unit];
                compare(k, text, len);
            }
        }
    }
}

static void utf8_all_pairs_and_triples(const wsf_kernels *k)
{
    static const uint8_t edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                    0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
                                    0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1,
                                    0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF};
    const size_t n = sizeof edges;
    uint8_t text[100];
    bool whole;

    memset(text, 'a', sizeof text);
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        const size_t at = pair % 96;

        text[at] = (uint8_t)(pair >> 8);
        text[at + 1] = (uint8_t)pair;
        CHECK(wsf_utf8_valid(k, text, sizeof text) ==
                  (book_check(text, sizeof text, &whole) == sizeof text && whole),
              "%02x %02x", text[at], text[at + 1]);
        text[at] = text[at + 1] = 'a';
    }
    for (size_t i = 0; i < n * n * n * n; i++) { /* four octets, the edges of each */
        const size_t at = i % 97;

        text[at] = edges[i / (n * n * n)];
        text[at + 1] = edges[i / (n * n) % n];
        text[at + 2] = edges[i / n % n];
        text[at + 3 < sizeof text ? at + 3 : 0] = edges[i % n];
        CHECK(wsf_utf8_valid(k, text, sizeof text) ==
                  (book_check(text, sizeof text, &whole) == sizeof text && whole),
              "%02x %02x %02x at %zu", text[at], text[at + 1], text[at + 2], at);
        memset(text + at, 'a', 3);
        text[at + 3 < sizeof text ? at + 3 : 0] = 'a';
    }
}

static void utf8_first_bad_octet(const wsf_kernels *k)
{
    static const struct {
        const char *text;
        size_t bad;
    } cases[] = {
        {"\xE0\x80", 1},     {"\xF5", 0},
        {"\xC3\x41", 1},     {"a\xC0\x80", 1},
        {"\xED\xA0\x80", 1}, {"\xF4\x90\x80\x80", 1},
        {"\xE2\x82\x28", 2}, {"\xF0\x9F\x98\xC0", 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t len = strlen(cases[i].text);
        bool complete;

        for (size_t piece = 0; piece <= len; piece++) {
            const size_t found =
                feed(k, (const uint8_t *)cases[i].text, len, piece, &complete);

            CHECK(found == cases[i].bad, "case %zu in pieces of %zu: %zu", i, piece,
                  found);
        }
    }
}

static void utf8_nothing_is_valid(const wsf_kernels *k)
{
    wsf_utf8 s = {{0, 0, 0}, 0};
    size_t bad = 7;

    CHECK(wsf_utf8_valid(k, NULL, 0), "no octets");
    CHECK(wsf_utf8_feed(k, &s, NULL, 0, &bad) == WSF_OK, "no octets");
    CHECK(wsf_utf8_complete(&s) && bad == 7, "no octets");
    CHECK(wsf_utf8_feed(k, &s, (const uint8_t *)"\xC3", 1, &bad) == WSF_OK, "a lead");
    CHECK(wsf_utf8_feed(k, &s, NULL, 0, &bad) == WSF_OK, "no octets");
    CHECK(!wsf_utf8_complete(&s), "still cut short");
}

static void utf8_long_random(const wsf_kernels *k)
{
    static const uint32_t highest[] = {0x7F, 0xFF, 0x7FF, 0xFFFF, 0x10FFFF};
    const edged m = edged_new(16384);

    for (int round = 0; round < 400; round++) {
        const size_t len = random_below(m.size);
        uint8_t *const text = edged_end(m) - len;

        random_text(text, len, highest[round % 5], (unsigned)random_below(17));
        CHECK(wsf_utf8_valid(k, text, len), "round %d", round);
        for (int faults = 0; faults < 4 && len > 0; faults++) {
            const size_t at = random_below(len);
            const uint8_t was = text[at];

            text[at] = (uint8_t)random_u64();
            compare(k, text, len);
            text[at] = was;
        }
    }
}

const test utf8_tests[] = {
    PER_KERNEL(utf8_nothing_is_valid),
    PER_KERNEL(utf8_first_bad_octet),
    PER_KERNEL(utf8_each_length_and_alignment),
    PER_KERNEL(utf8_faults_at_each_place),
    PER_KERNEL(utf8_all_pairs_and_triples),
    PER_KERNEL(utf8_long_random),
    {0},
};
