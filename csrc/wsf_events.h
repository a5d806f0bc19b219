/* wsf_events.h -- event streams (WHATWG HTML §9.2.5 and §9.2.6, Server-sent events).
 *
 * Splits a stream into lines, a line into field and value, and writes data as lines. It
 * neither copies what it reads nor decodes it: a piece points into the caller's input.
 *
 * Pure functions over the caller's struct: no allocation, no globals. A struct belongs
 * to one thread at a time. */
#ifndef WSF_EVENTS_H
#define WSF_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in a stream we are, between two pieces of it. All zero is its start. */
typedef struct wsf_lines {
    uint8_t mark; /* octets of a byte order mark that came; 4 once that is settled */
    bool cr;      /* the line before ended with CR: an LF now is of the same end */
} wsf_lines;

/* Octets of one line, or of a part of one, that arrived together. */
typedef struct wsf_line {
    const uint8_t *data; /* into the input, or static; without the line's end */
    size_t len;          /* 0 is allowed */
    bool end;            /* the line ends behind these */
} wsf_line;

/* Take the next piece of a line from the input. Lines end with LF, CR or CRLF; one byte
 * order mark at the start of the stream is skipped, wherever it is cut.
 *
 * s        carries the state from input to input.
 * cursor   the input; moved behind what was taken.
 * end      one past the input's last octet.
 * piece    filled in if there is one.
 *
 * Returns false once the input is used up. Takes time linear in what it takes. */
bool wsf_lines_next(wsf_lines *s, const uint8_t **cursor, const uint8_t *end,
                    wsf_line *piece);

typedef enum wsf_field {
    WSF_FIELD_NONE,    /* an empty line: the event is complete */
    WSF_FIELD_COMMENT, /* it begins with a colon */
    WSF_FIELD_DATA,
    WSF_FIELD_EVENT,
    WSF_FIELD_ID,
    WSF_FIELD_RETRY,
    WSF_FIELD_OTHER /* to be ignored */
} wsf_field;

/* Tell what field a line is.
 *
 * line,len  the whole line, without its end.
 * value     set to where its value begins: behind the colon and one space, or at len.
 *
 * Names are matched exactly, as the standard says: "Data" is WSF_FIELD_OTHER. */
wsf_field wsf_event_field(const uint8_t *line, size_t len, size_t *value);

/* Read the value of a retry field.
 *
 * ms   set to it, in milliseconds; UINT32_MAX if it is more than that.
 *
 * Returns false, with ms untouched, unless there are digits and nothing else. */
bool wsf_event_retry(const uint8_t *value, size_t len, uint32_t *ms);

/* True if octets hold neither LF nor CR, so that they can be a value. */
bool wsf_event_is_line(const uint8_t *data, size_t len);

/* How many octets wsf_event_data_encode() writes. */
size_t wsf_event_data_size(const uint8_t *data, size_t len);

/* Write data as fields, "data: " and LF around each of its lines; at least one.
 *
 * dst        room for wsf_event_data_size() octets; does not overlap data.
 * data,len   any octets: LF, CR and CRLF end a line.
 *
 * Returns one past the last octet written. */
uint8_t *wsf_event_data_encode(uint8_t *dst, const uint8_t *data, size_t len);

#endif
