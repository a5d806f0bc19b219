/* utf8_book.c -- see utf8_book.h. */
#include "utf8_book.h"

#include "check.h"

#include <string.h>

bool book_take(book *b, uint8_t octet)
{
    static const struct {
        uint8_t first, last, low, high;
        unsigned left;
    } rows[] = {
        {0x00, 0x7F, 0, 0, 0},       {0xC2, 0xDF, 0x80, 0xBF, 1},
        {0xE0, 0xE0, 0xA0, 0xBF, 2}, {0xE1, 0xEC, 0x80, 0xBF, 2},
        {0xED, 0xED, 0x80, 0x9F, 2}, {0xEE, 0xEF, 0x80, 0xBF, 2},
        {0xF0, 0xF0, 0x90, 0xBF, 3}, {0xF1, 0xF3, 0x80, 0xBF, 3},
        {0xF4, 0xF4, 0x80, 0x8F, 3},
    };

    if (b->left != 0) {
        if (octet < b->low || octet > b->high)
            return false;
        b->left--;
        b->low = 0x80;
        b->high = 0xBF;
        b->code_point = b->code_point << 6 | (octet & 0x3F);
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (octet >= rows[i].first && octet <= rows[i].last) {
            b->left = rows[i].left;
            b->low = rows[i].low;
            b->high = rows[i].high;
            b->code_point = rows[i].left == 0 ? octet : octet & (0x3Fu >> rows[i].left);
            return true;
        }
    }
    return false;
}

size_t book_check(const uint8_t *text, size_t len, bool *complete)
{
    book b = {0, 0, 0, 0};

    *complete = false;
    for (size_t i = 0; i < len; i++) {
        if (!book_take(&b, text[i]))
            return i;
    }
    *complete = b.left == 0;
    return len;
}

size_t book_decode(uint32_t *dst, const uint8_t *text, size_t len, uint32_t *highest)
{
    book b = {0, 0, 0, 0};
    size_t count = 0;

    *highest = 0;
    for (size_t i = 0; i < len; i++) {
        if (!book_take(&b, text[i]))
            check_failed(__FILE__, __LINE__, "the text itself is wrong at %zu", i);
        if (b.left == 0) {
            dst[count++] = b.code_point;
            *highest = b.code_point > *highest ? b.code_point : *highest;
        }
    }
    return count;
}

size_t book_encode(uint8_t *dst, uint32_t c)
{
    if (c < 0x80) {
        dst[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        dst[0] = (uint8_t)(0xC0 | c >> 6);
        dst[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        dst[0] = (uint8_t)(0xE0 | c >> 12);
        dst[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        dst[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    dst[0] = (uint8_t)(0xF0 | c >> 18);
    dst[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    dst[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    dst[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

static uint32_t random_code_point(uint32_t highest, unsigned ascii)
{
    static const uint32_t edges[] = {
        0x80,   0xBF,   0xC0,   0xFF,   0x100,   0x7FF,   0x800,   0xFFF,   0x1000,
        0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x10FFFF,
    };
    uint32_t c;

    if (random_below(16) < ascii)
        return (uint32_t)random_below(0x80);
    do {
        if (random_below(4) == 0) {
            c = edges[random_below(sizeof edges / sizeof edges[0])];
        } else {
            static const uint32_t tops[] = {0x80, 0x100, 0x800, 0x10000, 0x110000};
            c = (uint32_t)random_below(tops[random_below(5)]);
        }
    } while (c > highest || (c >= 0xD800 && c < 0xE000));
    return c;
}

void random_text(uint8_t *dst, size_t len, uint32_t highest, unsigned ascii)
{
    uint8_t one[4];
    size_t i = 0;

    while (i < len) {
        const size_t n = book_encode(one, random_code_point(highest, ascii));

        if (n <= len - i) {
            memcpy(dst + i, one, n);
            i += n;
        } else if (highest < 0x80 || len - i == 1) {
            dst[i++] = (uint8_t)random_below(0x80);
        }
    }
}
