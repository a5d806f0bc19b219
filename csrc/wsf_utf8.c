/* wsf_utf8.c -- UTF-8 in pieces: what lies across a cut is done here, octet by octet,
 * and everything between two cuts by a kernel. */
#include "wsf_utf8.h"

#include <string.h>

/* Octets of a character that begins with `lead`; 0 if none begins so. */
static unsigned char_size(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* May `octet` follow `lead`? (Unicode standard, table 3-7) */
static bool second_fits(uint8_t lead, uint8_t octet)
{
    switch (lead) {
    case 0xE0:
        return octet >= 0xA0 && octet <= 0xBF;
    case 0xED:
        return octet >= 0x80 && octet <= 0x9F;
    case 0xF0:
        return octet >= 0x90 && octet <= 0xBF;
    case 0xF4:
        return octet >= 0x80 && octet <= 0x8F;
    default:
        return octet >= 0x80 && octet <= 0xBF;
    }
}

/* Take octets of data, at most `len`, into the character begun in `s`, until it is
 * whole; *used says how many. False: the octet data[*used] does not fit. */
static bool take(wsf_utf8 *s, const uint8_t *data, size_t len, size_t *used)
{
    const unsigned size = char_size(s->tail[0]);
    size_t i = 0;

    while (i < len) {
        const uint8_t octet = data[i];
        const bool fits =
            s->count == 1 ? second_fits(s->tail[0], octet) : (octet & 0xC0) == 0x80;

        if (!fits) {
            *used = i;
            return false;
        }
        i++;
        if (s->count + 1u == size) {
            s->count = 0;
            break;
        }
        s->tail[s->count++] = octet;
    }
    *used = i;
    return true;
}

/* Octets at the end of data that begin a character and do not end it: 0 to 3. */
static size_t unfinished(const uint8_t *data, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        const uint8_t octet = data[len - back];

        if (octet < 0x80)
            return 0;
        if (octet >= 0xC0)
            return back < char_size(octet) ? back : 0;
    }
    return 0;
}

/* The first bad octet in data, which starts with a character and holds one: what is
 * merely cut short at the end was taken off before. */
static size_t first_bad(const uint8_t *data, size_t len)
{
    size_t i = 0, used = 0;

    while (i < len) { /* uncounted: a bad octet ends it, this is to be safe */
        wsf_utf8 one = {{0, 0, 0}, 1};
        const unsigned size = char_size(data[i]);

        if (size == 0)
            break;
        one.tail[0] = data[i++];
        if (size > 1) {
            const bool fits = take(&one, data + i, len - i, &used);

            i += used;
            if (!fits)
                break;
        }
    }
    return i;
}

wsf_status wsf_utf8_feed(const wsf_kernels *k, wsf_utf8 *s, const uint8_t *data,
                         size_t len, size_t *bad)
{
    size_t start = 0, end, good;

    if (len == 0) /* data may then be NULL, which must not meet arithmetic */
        return WSF_OK;
    if (s->count != 0 && !take(s, data, len, &start)) {
        *bad = start;
        return WSF_E_UTF8;
    }
    end = len - unfinished(data + start, len - start);
    good = start + k->utf8(data + start, end - start);
    if (good != end) {
        *bad = good + first_bad(data + good, len - good);
        return WSF_E_UTF8;
    }
    if (end != len) { /* not while s still holds a character: then nothing is left */
        s->tail[0] = data[end];
        s->count = 1;
        if (!take(s, data + end + 1, len - end - 1, &start)) {
            *bad = end + 1 + start;
            return WSF_E_UTF8;
        }
    }
    return WSF_OK;
}
