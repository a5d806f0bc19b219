/* wsf_events.c -- lines and fields of event streams. */
#include "wsf_events.h"

#include "wsf_word.h"

#include <string.h>

static const uint8_t byte_order_mark[3] = {0xEF, 0xBB, 0xBF};

enum {
    MARK_SETTLED = 4
};

/* Where the first LF or CR is, or end. One pass for both: looking for one of them far
 * ahead, again for each line that the other ends, would take quadratic time. */
static const uint8_t *line_end(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
        if (wsf_word_has(word, '\n') || wsf_word_has(word, '\r'))
            break;
        p += 8;
    }
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

bool wsf_lines_next(wsf_lines *s, const uint8_t **cursor, const uint8_t *end,
                    wsf_line *piece)
{
    const uint8_t *p = *cursor;

    while (s->mark < sizeof byte_order_mark && p < end) {
        if (*p != byte_order_mark[s->mark]) { /* what looked like one begins a line */
            const size_t n = s->mark;

            s->mark = MARK_SETTLED;
            if (n == 0)
                break;
            piece->data = byte_order_mark;
            piece->len = n;
            piece->end = false;
            *cursor = p;
            return true;
        }
        s->mark++;
        p++;
    }
    if (p < end && s->cr) {
        s->cr = false;
        if (*p == '\n')
            p++;
    }
    if (p == end) {
        *cursor = p;
        return false;
    }
    s->mark = MARK_SETTLED;
    piece->data = p;
    p = line_end(p, end);
    piece->len = (size_t)(p - piece->data);
    piece->end = p < end;
    if (p < end) {
        if (*p++ == '\r') {
            if (p == end)
                s->cr = true;
            else if (*p == '\n')
                p++;
        }
    }
    *cursor = p;
    return true;
}

static bool is_name(const uint8_t *line, size_t len, const char *name, size_t size)
{
    return len == size && memcmp(line, name, size) == 0;
}

wsf_field wsf_event_field(const uint8_t *line, size_t len, size_t *value)
{
    const uint8_t *colon;
    size_t name;

    *value = len;
    if (len == 0)
        return WSF_FIELD_NONE;
    colon = memchr(line, ':', len);
    name = colon == NULL ? len : (size_t)(colon - line);
    if (colon != NULL)
        *value = name + 1 + (name + 1 < len && line[name + 1] == ' ');
    if (name == 0)
        return WSF_FIELD_COMMENT;
    if (is_name(line, name, "data", 4))
        return WSF_FIELD_DATA;
    if (is_name(line, name, "event", 5))
        return WSF_FIELD_EVENT;
    if (is_name(line, name, "id", 2))
        return WSF_FIELD_ID;
    if (is_name(line, name, "retry", 5))
        return WSF_FIELD_RETRY;
    return WSF_FIELD_OTHER;
}

bool wsf_event_retry(const uint8_t *value, size_t len, uint32_t *ms)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(value[i] - '0');
        if (number > UINT32_MAX)
            number = UINT32_MAX;
    }
    if (len == 0)
        return false;
    *ms = (uint32_t)number;
    return true;
}

bool wsf_event_is_line(const uint8_t *data, size_t len)
{
    return line_end(data, data + len) == data + len;
}

/* Take one line of data; NULL behind the last. A line end at the end of the data is
 * followed by an empty line. */
static const uint8_t *data_line(const uint8_t *p, const uint8_t *end,
                                const uint8_t **next)
{
    const uint8_t *stop = line_end(p, end);

    *next = stop == end                                              ? NULL
            : (stop[0] == '\r' && end - stop > 1 && stop[1] == '\n') ? stop + 2
                                                                     : stop + 1;
    return stop;
}

enum {
    FIELD_SIZE = 6 /* "data: " */
};

size_t wsf_event_data_size(const uint8_t *data, size_t len)
{
    const uint8_t *const end = data + len;
    size_t size = 0;

    while (data != NULL) {
        const uint8_t *next;
        const uint8_t *stop = data_line(data, end, &next);

        size += FIELD_SIZE + (size_t)(stop - data) + 1;
        data = next;
    }
    return size;
}

uint8_t *wsf_event_data_encode(uint8_t *dst, const uint8_t *data, size_t len)
{
    const uint8_t *const end = data + len;

    while (data != NULL) {
        const uint8_t *next;
        const uint8_t *stop = data_line(data, end, &next);
        const size_t n = (size_t)(stop - data);

        memcpy(dst, "data: ", FIELD_SIZE);
        memcpy(dst + FIELD_SIZE, data, n);
        dst += FIELD_SIZE + n;
        *dst++ = '\n';
        data = next;
    }
    return dst;
}
