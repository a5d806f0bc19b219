/* lines.c -- event streams: the same lines however they are cut; data that is encoded
 * gives only lines of data.
 *
 * Input: octets per cut, then a stream. */
#include "fuzz.h"

#include "wsf_events.h"

/* All lines, each with a LF behind it: LF is in none. */
static size_t lines(const uint8_t *data, size_t size, size_t step, uint8_t *out)
{
    wsf_lines s = {0};
    size_t done = 0, len = 0;

    while (done < size) {
        const size_t n = size - done < step ? size - done : step;
        uint8_t *copy = copy_of(data + done, n);
        const uint8_t *cursor = copy;
        wsf_line piece;

        while (wsf_lines_next(&s, &cursor, copy + n, &piece)) {
            MUST(cursor <= copy + n);
            MUST(piece.len == 0 || wsf_event_is_line(piece.data, piece.len));
            memcpy(out + len, piece.data, piece.len);
            len += piece.len;
            if (piece.end)
                out[len++] = '\n';
            MUST(len <= size + 3);
        }
        MUST(cursor == copy + n);
        free(copy);
        done += n;
    }
    return len;
}

static void fields(const uint8_t *text, size_t size)
{
    size_t start = 0;

    for (size_t i = 0; i <= size; i++) {
        if (i == size || text[i] == '\n') {
            uint8_t *line = copy_of(text + start, i - start);
            size_t value = 0;
            uint32_t ms = 7;
            const wsf_field field = wsf_event_field(line, i - start, &value);

            MUST((field == WSF_FIELD_NONE) == (i == start));
            if (field != WSF_FIELD_NONE)
                MUST(value <= i - start);
            if (field == WSF_FIELD_RETRY)
                MUST(wsf_event_retry(line + value, i - start - value, &ms) || ms == 7);
            free(line);
            start = i + 1;
        }
    }
}

static void encoded(const uint8_t *data, size_t size)
{
    const size_t want = wsf_event_data_size(data, size);
    uint8_t *out = malloc(want + 1), *text = malloc(want + 4);
    size_t len, start = 0;

    MUST(out != NULL && text != NULL);
    MUST(wsf_event_data_encode(out, data, size) == out + want);
    len = lines(out, want, want, text);
    MUST(len > 0 && text[len - 1] == '\n');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            size_t value = 0;

            MUST(wsf_event_field(text + start, i - start, &value) == WSF_FIELD_DATA);
            start = i + 1;
        }
    }
    free(out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t step = 1u + take(&data, &size) % 40u;
    uint8_t *whole = malloc(size + 4), *cut = malloc(size + 4);
    size_t len;

    MUST(whole != NULL && cut != NULL);
    len = lines(data, size, size, whole);
    MUST(lines(data, size, step, cut) == len && memcmp(whole, cut, len) == 0);
    MUST(lines(data, size, 1, cut) == len && memcmp(whole, cut, len) == 0);
    fields(whole, len);
    encoded(data, size);
    free(whole);
    free(cut);
    return 0;
}
