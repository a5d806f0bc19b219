/* test_transcode.c -- measuring and transcoding valid UTF-8: what is written, and that
 * not an octet more is. */
#include "check.h"
#include "utf8_book.h"

#include "wsf_utf8.h"

#include <string.h>

enum {
    LENGTHS = 301,
    CANARY = 0xA5
};

static unsigned class_of(uint32_t code_point)
{
    return code_point < 0x80      ? 1
           : code_point < 0x100   ? 2
           : code_point < 0x10000 ? 3
                                  : 4;
}

/* Transcode to characters of `width` octets, at the end of `to` or at its beginning. */
static void to_width(const wsf_kernels *k, edged to, bool at_end, unsigned width,
                     const uint8_t *text, size_t len, const uint32_t *expected,
                     size_t chars)
{
    const size_t octets = chars * width;
    uint8_t *const dst = at_end ? edged_end(to) - octets : to.begin;

    memset(to.begin, CANARY, to.size);
    if (width == 1)
        wsf_utf8_to_latin1(k, dst, text, len);
    else if (width == 2)
        wsf_utf8_to_ucs2(k, (uint16_t *)(void *)dst, text, len);
    else
        wsf_utf8_to_ucs4(k, (uint32_t *)(void *)dst, text, len);
    for (size_t i = 0; i < chars; i++) {
        uint32_t c = 0;

        if (width == 1) {
            c = dst[i];
        } else if (width == 2) {
            uint16_t half;

            memcpy(&half, dst + 2 * i, 2);
            c = half;
        } else {
            memcpy(&c, dst + 4 * i, 4);
        }
        CHECK(c == expected[i], "character %zu of %zu is %x, not %x; width %u, len %zu",
              i, chars, c, expected[i], width, len);
        if (c != expected[i])
            break;
    }
    for (size_t i = 0; i < to.size; i++) {
        if (to.begin + i == dst)
            i += octets;
        if (i < to.size && to.begin[i] != CANARY) {
            CHECK(false, "octet outside of %zu characters of %u", chars, width);
            break;
        }
    }
}

static void compare(const wsf_kernels *k, edged to, const uint8_t *text, size_t len)
{
    uint32_t expected[LENGTHS], highest;
    const size_t chars = book_decode(expected, text, len, &highest);
    size_t counted = SIZE_MAX;
    const unsigned class = wsf_utf8_measure(k, text, len, &counted);

    CHECK(counted == chars, "%zu characters, not %zu, len %zu", counted, chars, len);
    CHECK(class == class_of(highest), "class %u, highest is %x", class, highest);
    for (int at_end = 0; at_end < 2; at_end++) {
        if (class <= 2)
            to_width(k, to, at_end != 0, 1, text, len, expected, chars);
        if (class <= 3)
            to_width(k, to, at_end != 0, 2, text, len, expected, chars);
        to_width(k, to, at_end != 0, 4, text, len, expected, chars);
    }
}

static void transcode_each_length_and_alignment(const wsf_kernels *k)
{
    static const uint32_t highest[] = {0x7F, 0xFF, 0x7FF, 0xFFFF, 0x10FFFF};
    const edged from = edged_new(4096), to = edged_new(4 * LENGTHS);

    for (size_t len = 0; len < LENGTHS; len++) {
        for (size_t shift = 0; shift < alignments; shift++) {
            uint8_t *const text =
                shift % 2 == 0 ? edged_end(from) - len - shift : from.begin + shift - 1;

            random_text(text, len, highest[random_below(5)],
                        (unsigned)random_below(17));
            compare(k, to, text, len);
        }
    }
}

/* Texts of one width, the worst for what may be stored beyond a window. */
static void transcode_uniform(const wsf_kernels *k)
{
    static const char *const units[] = {
        "a",
        "\xC2\x80",
        "\xC3\xBF",
        "\xC4\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xEF\xBF\xBF",
        "\xED\x9F\xBF",
        "\xE4\xB8\xAD",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "\xF0\x9F\x98\x80",
    };
    const edged from = edged_new(LENGTHS), to = edged_new(4 * LENGTHS);

    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        const size_t unit = strlen(units[u]);

        for (size_t ahead = 0; ahead < 5; ahead++) {
            for (size_t len = ahead; len < LENGTHS; len += unit) {
                uint8_t *const text = edged_end(from) - len;

                memset(text, 'x', ahead);
                for (size_t i = ahead; i < len; i++)
                    text[i] = (uint8_t)units[u][(i - ahead) % unit];
                compare(k, to, text, len);
            }
        }
    }
}

static void transcode_every_code_point(const wsf_kernels *k)
{
    uint8_t text[400];
    uint32_t wide[400];
    size_t len = 0, chars = 0, counted;
    uint32_t first = 0;

    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        if (len == 0)
            first = c;
        len += book_encode(text + len, c);
        chars++;
        if (len < 300 && c != 0xD7FF && c != 0x10FFFF)
            continue;
        CHECK(wsf_utf8_valid(k, text, len), "from U+%x", first);
        (void)wsf_utf8_measure(k, text, len, &counted);
        CHECK(counted == chars, "%zu characters from U+%x", counted, first);
        wsf_utf8_to_ucs4(k, wide, text, len);
        for (size_t i = 0; i < chars; i++)
            CHECK(wide[i] == first + i, "U+%x is U+%x", (unsigned)(first + i), wide[i]);
        len = chars = 0;
    }
}

static void transcode_long(const wsf_kernels *k)
{
    enum {
        SIZE = 200000
    };
    static const uint32_t highest_of[] = {0xFF, 0xFFFF, 0x10FFFF}; /* width 1, 2, 4 */
    const edged from = edged_new(SIZE), to = edged_new(4 * SIZE),
                book = edged_new(4 * SIZE);
    uint32_t *const expected = (uint32_t *)(void *)book.begin;
    uint32_t highest;

    for (unsigned ascii = 0; ascii <= 16; ascii += 4) {
        for (unsigned i = 0; i < 3; i++) {
            size_t chars, counted;

            random_text(from.begin, from.size, highest_of[i], ascii);
            chars = book_decode(expected, from.begin, from.size, &highest);
            (void)wsf_utf8_measure(k, from.begin, from.size, &counted);
            CHECK(counted == chars, "%zu characters, not %zu", counted, chars);
            to_width(k, to, ascii % 8 == 0, 1u << i, from.begin, from.size, expected,
                     chars);
        }
    }
}

const test transcode_tests[] = {
    PER_KERNEL(transcode_each_length_and_alignment),
    PER_KERNEL(transcode_uniform),
    PER_KERNEL(transcode_every_code_point),
    PER_KERNEL(transcode_long),
    {0},
};
