/* wsf_sockjs.h -- what SockJS sends: arrays of JSON strings (SockJS protocol 0.3.3;
 * RFC 8259 §5 and §7).
 *
 * Octets to octets: text is UTF-8 in which a surrogate that is not one of a pair may
 * stand like any other code point, since strings of JavaScript and of Python may hold
 * one. Pure functions over the caller's structs: no allocation, no globals. */
#ifndef WSF_SOCKJS_H
#define WSF_SOCKJS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many octets wsf_sockjs_quote() writes: at least len + 2, at most 6 * len + 2. */
size_t wsf_sockjs_quoted_size(const uint8_t *text, size_t len);

/* Write text as a JSON string, as sockjs-node does: besides what JSON wants, every code
 * unit of UTF-16 is escaped that is one of U+200C to U+200F, U+2028 to U+202F, U+2060
 * to U+206F, U+FFF0 to U+FFFF, or a surrogate; a code point above U+FFFF is two of
 * them.
 *
 * dst       room for wsf_sockjs_quoted_size() octets; does not overlap text.
 * text,len  UTF-8 as said above. Octets that are none are written as they are.
 *
 * Returns one past the last octet written. */
uint8_t *wsf_sockjs_quote(uint8_t *dst, const uint8_t *text, size_t len);

typedef enum wsf_sockjs_item {
    WSF_SOCKJS_STRING, /* one more string */
    WSF_SOCKJS_END,    /* the array has ended, and nothing follows it */
    WSF_SOCKJS_BROKEN, /* this is not JSON */
    WSF_SOCKJS_OTHER   /* here is, or would be, JSON of another type; or nothing */
} wsf_sockjs_item;

/* Where we are in an array; set pos and end to the input's, the rest to zero. */
typedef struct wsf_sockjs_reader {
    const uint8_t *pos;
    const uint8_t *end;
    bool single;   /* set: one string alone is taken for an array of it */
    uint8_t state; /* ours */
} wsf_sockjs_reader;

/* A string as it stands in the input, between its quotation marks. */
typedef struct wsf_sockjs_string {
    const uint8_t *data;
    size_t len;
    bool escaped; /* there are escapes in it, all of them well-formed */
} wsf_sockjs_string;

/* Take the next string of an array. The whole takes time linear in the input.
 *
 * s  filled in for WSF_SOCKJS_STRING. That it is UTF-8 is for the caller to see.
 *
 * Behind anything but WSF_SOCKJS_STRING there is nothing to be taken. */
wsf_sockjs_item wsf_sockjs_next(wsf_sockjs_reader *r, wsf_sockjs_string *s);

/* Undo the escapes of a string.
 *
 * dst         room for len octets; does not overlap src.
 * src,len     a string that wsf_sockjs_next() found.
 * surrogates  set to how many surrogates there are that are not one of a pair; each is
 *             written as three octets.
 *
 * Returns one past the last octet written. */
uint8_t *wsf_sockjs_unescape(uint8_t *dst, const uint8_t *src, size_t len,
                             size_t *surrogates);

#endif
