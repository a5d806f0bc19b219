/* wsf_sockjs.c -- arrays of JSON strings, with the escapes of SockJS. */
#include "wsf_sockjs.h"

#include "wsf_word.h"

#include <string.h>

/* Octets that have to be looked at when a string is quoted: control characters, the
 * quotation mark, the reverse solidus, and what may begin a code point to be escaped.
 */
static const uint8_t looked_at[256] = {
    1,          1,          1,          1,          1,          1,
    1,          1,          1,          1,          1,          1,
    1,          1,          1,          1, /* U+0000 to U+000F */
    1,          1,          1,          1,          1,          1,
    1,          1,          1,          1,          1,          1,
    1,          1,          1,          1, /* U+0010 to U+001F */
    ['"'] = 1,  ['\\'] = 1, [0xE2] = 1, [0xED] = 1, [0xEF] = 1, [0xF0] = 1,
    [0xF1] = 1, [0xF2] = 1, [0xF3] = 1, [0xF4] = 1,
};

/* Where the first octet is that has to be looked at, or end. */
static const uint8_t *plain_end(const uint8_t *p, const uint8_t *end)
{
    for (;;) {
        const uint8_t *stop;

        while (end - p >= 8) {
            uint64_t word;

            memcpy(&word, p, sizeof word);
            if (wsf_word_is_wide(word) || wsf_word_has_below(word, ' ') ||
                wsf_word_has(word, '"') || wsf_word_has(word, '\\'))
                break;
            p += 8;
        }
        stop = end - p > 8 ? p + 8 : end;
        while (p < stop && looked_at[*p] == 0)
            p++;
        if (p < stop || p == end)
            return p;
    }
}

/* The letter that escapes a control character, '"' or '\\'; 0 if none does. */
static uint8_t letter_of(uint8_t octet)
{
    switch (octet) {
    case '\b':
        return 'b';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\f':
        return 'f';
    case '\r':
        return 'r';
    case '"':
    case '\\':
        return octet;
    default:
        return 0;
    }
}

static uint32_t tail_bits(uint8_t octet)
{
    return octet & 0x3Fu;
}

static bool is_escaped(uint32_t unit)
{
    return (unit >= 0x200C && unit <= 0x200F) || (unit >= 0x2028 && unit <= 0x202F) ||
           (unit >= 0x2060 && unit <= 0x206F) || (unit >= 0xD800 && unit <= 0xDFFF) ||
           unit >= 0xFFF0;
}

/* The code point at p, which is not ASCII, and how many octets it takes; 0 octets if it
 * need not be escaped, or is none. */
static size_t wide_at(const uint8_t *p, const uint8_t *end, uint32_t *code)
{
    if (*p < 0xF0) {
        if (end - p < 3)
            return 0;
        *code = (p[0] & 0x0Fu) << 12 | tail_bits(p[1]) << 6 | tail_bits(p[2]);
        return is_escaped(*code) ? 3 : 0;
    }
    if (end - p < 4)
        return 0;
    *code = (p[0] & 0x07u) << 18 | tail_bits(p[1]) << 12 | tail_bits(p[2]) << 6 |
            tail_bits(p[3]);
    return *code >= 0x10000 && *code <= 0x10FFFF ? 4 : 0;
}

size_t wsf_sockjs_quoted_size(const uint8_t *text, size_t len)
{
    const uint8_t *p = text;
    const uint8_t *const end = text + len;
    size_t size = len + 2;

    while ((p = plain_end(p, end)) < end) {
        uint32_t code;
        size_t n = 1;

        if (*p < 0x80)
            size += letter_of(*p) != 0 ? 1 : 5;
        else if ((n = wide_at(p, end, &code)) != 0)
            size += n == 3 ? 3 : 8;
        else
            n = 1;
        p += n;
    }
    return size;
}

static uint8_t *put_unit(uint8_t *dst, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";

    *dst++ = '\\';
    *dst++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *dst++ = (uint8_t)digits[unit >> shift & 0xF];
    return dst;
}

uint8_t *wsf_sockjs_quote(uint8_t *dst, const uint8_t *text, size_t len)
{
    const uint8_t *p = text;
    const uint8_t *const end = text + len;

    *dst++ = '"';
    for (;;) {
        const uint8_t *stop = plain_end(p, end);
        uint32_t code;
        size_t n = 1;

        memcpy(dst, p, (size_t)(stop - p));
        dst += stop - p;
        p = stop;
        if (p == end)
            break;
        if (*p < 0x80) {
            const uint8_t letter = letter_of(*p);

            if (letter != 0) {
                *dst++ = '\\';
                *dst++ = letter;
            } else {
                dst = put_unit(dst, *p);
            }
        } else if ((n = wide_at(p, end, &code)) == 3) {
            dst = put_unit(dst, code);
        } else if (n == 4) {
            dst = put_unit(dst, 0xD800 + ((code - 0x10000) >> 10));
            dst = put_unit(dst, 0xDC00 + ((code - 0x10000) & 0x3FF));
        } else {
            *dst++ = *p;
            n = 1;
        }
        p += n;
    }
    *dst++ = '"';
    return dst;
}

enum { /* states of a reader */
    AT_START,
    BEFORE_FIRST,  /* behind '[' */
    BEFORE_STRING, /* behind ',' */
    BEHIND_STRING,
    BEHIND_SINGLE
};

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Where a string's content ends, or is wrong; or end. */
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
        if (wsf_word_has_below(word, ' ') || wsf_word_has(word, '"') ||
            wsf_word_has(word, '\\'))
            break;
        p += 8;
    }
    while (p < end && *p >= ' ' && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The value of a hexadecimal digit; 16 for any other octet. */
static uint32_t hex_value(uint8_t octet)
{
    if (octet >= '0' && octet <= '9')
        return (uint32_t)(octet - '0');
    octet |= 0x20;
    return octet >= 'a' && octet <= 'f' ? (uint32_t)(octet - 'a' + 10) : 16;
}

/* The octets of the escape at p; 0 if it is none. */
static size_t escape_size(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 2)
        return 0;
    if (p[1] == 'u') {
        if (end - p < 6)
            return 0;
        for (size_t i = 2; i < 6; i++)
            if (hex_value(p[i]) > 15)
                return 0;
        return 6;
    }
    return memchr("\"\\/bfnrt", p[1], 8) != NULL ? 2 : 0;
}

/* Take the string whose quotation mark is at the reader's position. */
static wsf_sockjs_item take_string(wsf_sockjs_reader *r, wsf_sockjs_string *s)
{
    const uint8_t *p = r->pos + 1;

    s->data = p;
    s->escaped = false;
    while ((p = string_end(p, r->end)) < r->end) {
        size_t n;

        if (*p == '"') {
            s->len = (size_t)(p - s->data);
            r->pos = p + 1;
            return WSF_SOCKJS_STRING;
        }
        n = *p == '\\' ? escape_size(p, r->end) : 0;
        if (n == 0)
            break;
        s->escaped = true;
        p += n;
    }
    return WSF_SOCKJS_BROKEN;
}

/* What is there where a value that is no string should be. */
static wsf_sockjs_item not_a_string(const wsf_sockjs_reader *r)
{
    const uint8_t c = r->pos < r->end ? *r->pos : 0;

    return c != 0 && memchr("{[-0123456789tfn", c, 16) != NULL ? WSF_SOCKJS_OTHER
                                                               : WSF_SOCKJS_BROKEN;
}

wsf_sockjs_item wsf_sockjs_next(wsf_sockjs_reader *r, wsf_sockjs_string *s)
{
    r->pos = skip_space(r->pos, r->end);
    if (r->state == AT_START) {
        if (r->pos == r->end)
            return WSF_SOCKJS_OTHER;
        if (*r->pos == '"') {
            if (!r->single)
                return WSF_SOCKJS_OTHER;
            r->state = BEHIND_SINGLE;
            return take_string(r, s);
        }
        if (*r->pos != '[')
            return not_a_string(r);
        r->state = BEFORE_FIRST;
        r->pos = skip_space(r->pos + 1, r->end);
    }
    if (r->state == BEHIND_STRING) {
        if (r->pos == r->end || (*r->pos != ',' && *r->pos != ']'))
            return WSF_SOCKJS_BROKEN;
        if (*r->pos == ',') {
            r->state = BEFORE_STRING;
            r->pos = skip_space(r->pos + 1, r->end);
        }
    }
    if (r->state == BEHIND_SINGLE)
        return r->pos == r->end ? WSF_SOCKJS_END : WSF_SOCKJS_BROKEN;
    if (r->pos < r->end && *r->pos == ']' && r->state != BEFORE_STRING) {
        r->pos = skip_space(r->pos + 1, r->end);
        return r->pos == r->end ? WSF_SOCKJS_END : WSF_SOCKJS_BROKEN;
    }
    if (r->pos == r->end || *r->pos != '"')
        return not_a_string(r);
    r->state = BEHIND_STRING;
    return take_string(r, s);
}

static uint32_t unit_at(const uint8_t *p)
{
    uint32_t unit = 0;

    for (size_t i = 2; i < 6; i++)
        unit = unit << 4 | hex_value(p[i]);
    return unit;
}

static uint8_t *put_code(uint8_t *dst, uint32_t code)
{
    if (code < 0x80) {
        *dst++ = (uint8_t)code;
        return dst;
    }
    if (code < 0x800) {
        *dst++ = (uint8_t)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *dst++ = (uint8_t)(0xE0 | code >> 12);
        } else {
            *dst++ = (uint8_t)(0xF0 | code >> 18);
            *dst++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        }
        *dst++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    }
    *dst++ = (uint8_t)(0x80 | (code & 0x3F));
    return dst;
}

static uint8_t unescaped(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

uint8_t *wsf_sockjs_unescape(uint8_t *dst, const uint8_t *src, size_t len,
                             size_t *surrogates)
{
    const uint8_t *const end = src + len;

    *surrogates = 0;
    for (;;) {
        const uint8_t *stop = memchr(src, '\\', (size_t)(end - src));
        uint32_t code;

        if (stop == NULL)
            stop = end;
        memcpy(dst, src, (size_t)(stop - src));
        dst += stop - src;
        src = stop;
        if (src == end)
            return dst;
        if (src[1] != 'u') {
            *dst++ = unescaped(src[1]);
            src += 2;
            continue;
        }
        code = unit_at(src);
        src += 6;
        if (code >= 0xD800 && code <= 0xDFFF) {
            uint32_t low = 0;

            if (code < 0xDC00 && end - src >= 6 && src[0] == '\\' && src[1] == 'u')
                low = unit_at(src);
            if (low >= 0xDC00 && low <= 0xDFFF) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                src += 6;
            } else {
                (*surrogates)++;
            }
        }
        dst = put_code(dst, code);
    }
}
